"""Folders of any kind of files: what is read, left out, and said."""

import json
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxgan import config as config_lib
from jaxgan import data, errors
from jaxgan.data import files, images


def load(path, split='train', **fields):
  settings = config_lib.defaults().data
  settings.update({'source': 'folder', 'path': str(path), **fields})
  return data.load(settings, split)


def picture(seed=0, shape=(8, 8, 3)):
  values = np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)
  return Image.fromarray(values)


def fill(folder, count, suffix='.png', **options):
  folder.mkdir(parents=True, exist_ok=True)
  for k in range(count):
    path = folder / f'{k:03d}{suffix}'
    picture(len(str(folder)) + k).save(path, **options)
  return folder


@pytest.fixture
def said(caplog):
  caplog.set_level('INFO', 'jaxgan')
  return caplog


def test_formats_are_recognised_by_content(tmp_path, said):
  for k, name in enumerate(('JPEG', 'AVIF', 'JPEG2000', 'PNG', 'WEBP', 'GIF')):
    picture(k).save(tmp_path / f'{k}.{"abcdef"[k]}', format=name)
  picture(9).save(tmp_path / 'no_ending', format='PNG')
  (tmp_path / 'notes.txt').write_text('P5 is no picture')
  (tmp_path / 'photo.heic').write_bytes(b'\0\0\0\x18ftypheic')
  (tmp_path / '.hidden.png').write_bytes(b'')
  assert load(tmp_path).size == 7
  assert 'found 10, read 7 pictures' in said.text
  for text in ('1 hidden', '1 .txt', '1 .heic'):
    assert text in said.text


def test_links_to_folders_are_followed(tmp_path):
  fill(tmp_path / 'photos' / 'dog', 2)
  fill(tmp_path / 'elsewhere' / 'cat', 3)
  (tmp_path / 'photos' / 'cat').symlink_to('../elsewhere/cat')
  (tmp_path / 'photos' / 'dog' / 'up').symlink_to('..')
  dataset = load(tmp_path / 'photos')
  assert dataset.size == 5
  assert dataset.spec.classes == ('cat', 'dog')


def test_a_folder_that_is_seen_twice_is_refused(tmp_path):
  fill(tmp_path / 'cat', 2)
  (tmp_path / 'dog').symlink_to('cat')
  with pytest.raises(errors.DataError, match="the same folder as 'cat'"):
    load(tmp_path)


def test_links_to_nothing_are_unreadable(tmp_path, said):
  fill(tmp_path, 2)
  (tmp_path / 'a.png').symlink_to('gone.png')
  with pytest.raises(errors.DataError, match=r'a\.png.*on_bad=skip'):
    load(tmp_path)
  assert load(tmp_path, on_bad='skip').size == 2
  assert '1 unreadable' in said.text


def test_folders_that_cannot_be_read_are_unreadable(tmp_path, monkeypatch):
  fill(tmp_path / 'cat', 2)
  fill(tmp_path / 'dog', 2)
  scan = os.scandir

  def denied(folder):
    if str(folder).endswith('dog'):
      raise PermissionError(13, 'Permission denied')
    return scan(folder)

  monkeypatch.setattr(os, 'scandir', denied)
  with pytest.raises(errors.DataError, match=r'dog: unreadable \(Permission'):
    load(tmp_path)
  assert load(tmp_path, on_bad='skip').spec.num_classes == 0


def test_workdirs_of_runs_are_no_data(tmp_path, said):
  fill(tmp_path, 3)
  fill(tmp_path / 'run' / 'samples', 2)
  (tmp_path / 'run' / '.lock').touch()
  fill(tmp_path / 'copy' / 'samples', 2)
  (tmp_path / 'copy' / 'config.json').write_text('{}')
  assert load(tmp_path).size == 3
  assert '2 workdirs of runs' in said.text
  with pytest.raises(errors.DataError, match='the workdir of a run'):
    load(tmp_path / 'run')
  assert load(tmp_path / 'run' / 'samples').size == 2


def test_class_without_a_readable_picture_is_no_class(tmp_path, said):
  for name in ('ant', 'bee', 'cat'):
    fill(tmp_path / name, 2)
  for path in (tmp_path / 'bee').iterdir():
    path.write_bytes(b'nothing')
  dataset = load(tmp_path, on_bad='skip')
  assert dataset.spec.classes == ('ant', 'cat')
  assert sorted(dataset.labels.tolist()) == [0, 0, 1, 1]
  assert 'no class: bee' in said.text


def test_names_that_are_not_utf8_are_read(tmp_path, said):
  fill(tmp_path, 2)
  os.rename(tmp_path / '001.png', os.fsencode(tmp_path) + b'/caf\xe9\x1b.png')
  assert load(tmp_path, held_out=0.5).size == 1
  assert load(tmp_path, 'test', held_out=0.5).size == 1


def test_labels_come_from_dataset_json(tmp_path):
  for name in ('00000', '00001'):
    fill(tmp_path / name, 2)
  names = [f'0000{k // 2}/00{k % 2}.png' for k in range(4)]
  record = tmp_path / files.LABELS
  record.write_text(
    json.dumps({'labels': [[n, k] for k, n in enumerate(names)]})
  )
  assert load(tmp_path).spec.classes == ('0', '1', '2', '3')
  record.write_text(json.dumps({'labels': [[n, 5] for n in names]}))
  assert load(tmp_path).spec.num_classes == 0
  record.write_text(json.dumps({'labels': [[n, 1] for n in names[:3]]}))
  with pytest.raises(errors.DataError, match=r'no label of .00001/001\.png'):
    load(tmp_path)
  for text in ('{', '{"labels": 3}', '{"labels": [["a", "b"]]}', '[' * 10**5):
    record.write_text(text)
    with pytest.raises(errors.DataError, match='labels are unreadable'):
      load(tmp_path)
  record.write_text('{"labels": null}')
  assert load(tmp_path).spec.classes == ('00000', '00001')


def test_broken_exif_data_are_ignored_and_the_rotation_is_not(tmp_path):
  picture(7, (16, 24, 3)).save(tmp_path / 'a.jpg')
  entries = [
    (0x0112, 3, 1, struct.pack('<H', 6)),
    (0x011A, 2, 3, b'72\0'),
  ]
  table = b'II*\0' + struct.pack('<IH', 8, len(entries))
  for entry in entries:
    table += struct.pack('<HHI', *entry[:3]) + entry[3].ljust(4, b'\0')
  segment = b'Exif\0\0' + table + bytes(4)
  raw = (tmp_path / 'a.jpg').read_bytes()
  head = b'\xff\xe1' + struct.pack('>H', len(segment) + 2)
  (tmp_path / 'a.jpg').write_bytes(raw[:2] + head + segment + raw[2:])
  assert load(tmp_path).spec.shape == (24, 16, 3)
  assert load(tmp_path).arrays()['image'].shape == (1, 24, 16, 3)


def test_rotated_tiff_is_rotated_once(tmp_path):
  lying = np.zeros((4, 8), np.uint8)
  lying[:, :4] = 255
  exif = Image.Exif()
  exif[0x0112] = 6
  Image.fromarray(lying).save(tmp_path / 'a.tif', exif=exif)
  image = load(tmp_path).arrays()['image'][0]
  assert image.shape == (8, 4, 1)
  assert image[:4].min() == 255
  assert image[4:].max() == 0


def save_values(folder, values, name='a.tif', **options):
  folder.mkdir(exist_ok=True)
  Image.fromarray(values).save(folder / name, **options)


RAMP = np.linspace(0, 1, 16).reshape(4, 4)


@pytest.mark.parametrize(
  ('values', 'name'),
  [
    ((RAMP * 65535).astype(np.uint16), 'a.png'),
    ((RAMP * 65535).astype(np.uint16), 'a.tif'),
    ((RAMP * 65535).astype(np.int32), 'a.pgm'),
    ((RAMP * (2**31 - 1)).astype(np.int32), 'a.tif'),
    (RAMP.astype(np.float32), 'a.tif'),
  ],
)
def test_values_are_scaled_by_the_range_of_the_format(values, name, tmp_path):
  save_values(tmp_path, values, name)
  image = load(tmp_path).arrays()['image'][0, ..., 0]
  assert np.abs(image - 255 * RAMP).max() <= 1


def test_white_is_zero_where_a_tiff_says_so(tmp_path):
  values = ((1 - RAMP) * 65535).astype(np.uint16)
  save_values(tmp_path, values, tiffinfo={262: 0})
  image = load(tmp_path).arrays()['image'][0, ..., 0]
  assert np.abs(image - 255 * RAMP).max() <= 1


@pytest.mark.parametrize(
  ('values', 'value_range'),
  [
    ((RAMP * 4095).astype(np.uint16), (0, 4095)),
    ((RAMP * 16383).astype(np.uint16), (0, 16383)),
    ((RAMP * 4095).astype(np.int32), (0, 4095)),
    ((RAMP * 255).astype(np.float32), (0, 255)),
    ((RAMP * 2 - 1).astype(np.float32), (-1, 1)),
  ],
)
def test_values_in_another_range_need_a_field(values, value_range, tmp_path):
  save_values(tmp_path, values)
  with pytest.raises(errors.DataError, match=r'Set data\.range'):
    load(tmp_path)
  image = load(tmp_path, range=value_range).arrays()['image'][0, ..., 0]
  assert np.abs(image - 255 * RAMP).max() <= 1


def test_colours_of_16_bits_in_the_lowest_bits_are_refused(tmp_path):
  """Pillow reads the first 8 bits, which are black then."""

  def chunk(kind, content):
    size, check = len(content), zlib.crc32(kind + content)
    return struct.pack('>I', size) + kind + content + struct.pack('>I', check)

  for factor in (65535, 1023):
    values = np.repeat((RAMP * factor).astype('>u2')[..., None], 3, axis=-1)
    rows = b''.join(b'\0' + row.tobytes() for row in values)
    head = chunk(b'IHDR', struct.pack('>IIBBBBB', 4, 4, 16, 2, 0, 0, 0))
    content = head + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')
    (tmp_path / 'a.png').write_bytes(b'\x89PNG\r\n\x1a\n' + content)
    if factor == 65535:
      assert load(tmp_path).arrays()['image'].max() == 255
  with pytest.raises(errors.DataError, match='use only the lowest'):
    load(tmp_path)


def test_bytes_with_a_sign_have_half_the_range(tmp_path):
  save_values(tmp_path, (RAMP * 127).astype(np.uint8), tiffinfo={339: 2})
  image = load(tmp_path).arrays()['image'][0, ..., 0]
  assert np.abs(image - 255 * RAMP).max() <= 2


def test_a_folder_that_goes_while_it_is_searched_is_unreadable(
  tmp_path, monkeypatch
):
  fill(tmp_path / 'cat', 2)
  fill(tmp_path / 'dog', 2)
  real = os.stat

  def stat(path, *args, **kwargs):
    if str(path).endswith('dog'):
      raise FileNotFoundError(2, 'No such file or directory')
    return real(path, *args, **kwargs)

  monkeypatch.setattr(os, 'stat', stat)
  with pytest.raises(errors.DataError, match=r'dog: unreadable \(gone\)'):
    load(tmp_path)


def test_values_that_are_not_finite_are_unreadable(tmp_path):
  save_values(tmp_path, np.full((4, 4), np.nan, np.float32))
  with pytest.raises(errors.DataError, match='not finite'):
    load(tmp_path)


@pytest.mark.slow
def test_max_pixels_decides_about_large_pictures(tmp_path):
  Image.new('1', (19_000, 19_000)).save(
    tmp_path / 'a.tif', compression='group4'
  )
  with pytest.raises(errors.DataError, match=r'more than data\.max_pixels'):
    load(tmp_path, image_size=8)
  dataset = load(tmp_path, image_size=8, max_pixels=500_000_000)
  assert dataset.arrays()['image'].shape == (1, 8, 8, 1)
  limit = Image.MAX_IMAGE_PIXELS
  images.open_header(tmp_path / 'a.tif', 500_000_000).close()
  assert limit == Image.MAX_IMAGE_PIXELS


def test_frames_that_are_not_read_are_counted(tmp_path, said):
  picture(1).save(
    tmp_path / 'a.gif', save_all=True, append_images=[picture(2), picture(3)]
  )
  assert load(tmp_path).size == 1
  assert '1 have frames' in said.text


def test_pillows_limit_does_not_count(tmp_path, monkeypatch):
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
  for name in ('a.png', 'b.tif'):
    picture().save(tmp_path / name)
  assert load(tmp_path).arrays()['image'].shape == (2, 8, 8, 3)
  assert Image.MAX_IMAGE_PIXELS == 10
  with pytest.raises(errors.DataError, match=r'more than data\.max_pixels=60'):
    load(tmp_path, max_pixels=60)
