"""Examples of two images: 'source' [H, W, D] beside 'image' [H, W, C], uint8.

`paired` gives both views of one thing, for pix2pix: the source is made of the
image, is one half of it, or lies beside it. `unpaired` gives images of two
domains, for CycleGAN.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np

from jaxgan import errors
from jaxgan.data import dataset, derived, folder
from jaxgan.data.dataset import Dataset

SIDES = ('left', 'right')

# (config.data, split) -> Dataset.
Source = Callable[..., Dataset]


PAIRED = (
  *derived.MADE,
  *(f'{name}:NUMBER' for name in derived.MADE_BY_NUMBER),
  *(f'halves:{side}' for side in SIDES),
  *('folder:PATH', 'feature:NAME'),
)
UNPAIRED = ('classes', 'splits', 'folder:PATH')


def paired(source: Source, settings, split: str) -> Dataset:
  """Two views of every thing, as `settings.pair` says.

  Args:
    source: a row of `data.SOURCES`.
    settings: `config.data`; 'pair' is one of
      'edges', 'grey', 'outline': see the functions of these names;
      'low:4', 'masked:16': see `low_resolution` and `masked`;
      'halves:left': the left half of a file is the source, the right one the
        image ('halves:right' the other way round);
      'folder:PATH': files of PATH are the sources of those of `settings.path`
        that have the same names, without their endings;
      'feature:NAME': of a TFDS set, whose 'image', or what `settings.feature`
        names, is the image.
    split: 'train' or 'test'.

  Raises:
    DataError: for names without a partner, for two images of different sizes,
      and for halves of an odd width.
  """
  kind, _, value = settings.pair.partition(':')
  if kind in derived.MADE and not value:
    return _with_made(source(settings, split), derived.MADE[kind])
  if kind in derived.MADE_BY_NUMBER and value.isdecimal() and int(value):
    make = functools.partial(derived.MADE_BY_NUMBER[kind], int(value))
    return _with_made(source(settings, split), make)
  if kind == 'halves' and value in SIDES:
    return _halves(source(settings, split), value)
  if kind == 'folder' and value:
    return _folders(source, settings, split, value, same_names=True)
  if kind == 'feature' and value:
    if settings.source != 'tfds':
      raise errors.DataError(
        f'data.pair={settings.pair!r} is a picture of a TFDS set; set '
        'data.source=tfds'
      )
    other = _changed(settings, feature=value)
    return _beside(source(settings, split), source(other, split))
  raise errors.unknown('data.pair', settings.pair, PAIRED)


def unpaired(source: Source, settings, split: str) -> Dataset:
  """Images of two domains, which have nothing to do with each other.

  An epoch visits all images of the larger domain; those of the smaller one
  come again and again. Which two come together is drawn once, as losses look at
  every image alone.

  Args:
    source: a row of `data.SOURCES`.
    settings: `config.data`; 'unpaired' is one of
      'classes': sources are the first of the two `settings.classes`;
      'splits': of a TFDS set like cycle_gan/*, sources are the split 'trainA'
        or 'testA', images 'trainB' or 'testB';
      'folder:PATH': sources lie in PATH, images in `settings.path`.
    split: 'train' or 'test'.

  Raises:
    DataError: if there are not two domains, or their images differ in size.
  """
  kind, _, value = settings.unpaired.partition(':')
  if kind == 'classes' and not value:
    if len(settings.classes) != 2:
      raise errors.DataError(
        f"data.unpaired='classes' needs the names of two in data.classes, not "
        f'{tuple(settings.classes)}'
      )
    found = dataset.of_classes(source(settings, split), settings.classes)
    first, second = (
      dataset.subset(found, np.flatnonzero(found.labels == k)) for k in (0, 1)
    )
    for part, name in zip((first, second), settings.classes, strict=True):
      if not part.size:
        raise errors.DataError(
          f'data.classes: the {split} split has no image of {name!r}'
        )
  elif kind == 'splits' and not value:
    if settings.source != 'tfds':
      raise errors.DataError(
        "data.unpaired='splits' reads two splits of a TFDS set; set "
        'data.source=tfds'
      )
    first, second = (source(settings, f'{split}{k}') for k in 'AB')
    first, second = (
      dataclasses.replace(found, split=split) for found in (first, second)
    )
  elif kind == 'folder' and value:
    return _folders(source, settings, split, value, same_names=False)
  else:
    raise errors.unknown('data.unpaired', settings.unpaired, UNPAIRED)
  return _mixed(first, second)


def _changed(settings, **fields):
  settings = settings.copy_and_resolve_references()
  settings.update(fields)
  return settings


def _with_made(found: Dataset, make: Callable) -> Dataset:
  """Every image gets what `make` makes of it as its source."""
  _refuse_points(found)
  shape = make(np.zeros(found.spec.shape, np.uint8)).shape

  def read(place):
    example = found.read(place)
    return {**example, 'source': make(example['image'])}

  columns = found.columns
  if columns is not None:
    made = np.stack([make(image) for image in columns['image']])
    columns = {**columns, 'source': made}
  spec = dataclasses.replace(found.spec, source_shape=shape)
  read_many = dataset.one_by_one(read)
  return dataclasses.replace(
    found, spec=spec, read_many=read_many, columns=columns
  )


def _refuse_points(found: Dataset) -> None:
  if not found.spec.is_image:
    raise errors.DataError(
      f'data.name={found.name!r} are points; pairs need images'
    )


def _halves(found: Dataset, side: str) -> Dataset:
  """Images whose left and right halves are the two views."""
  _refuse_points(found)
  height, width, channels = found.spec.shape
  if width % 2:
    raise errors.DataError(
      f"data.pair='halves:{side}': images are {height} x {width} and an odd "
      'width has no halves; set data.image_size to the side of one half'
    )
  shape = (height, width // 2, channels)

  def split(columns):
    left, right = np.split(columns['image'], 2, axis=-2)
    source, image = (left, right) if side == 'left' else (right, left)
    return {**columns, 'image': image, 'source': source}

  spec = dataclasses.replace(found.spec, shape=shape, source_shape=shape)
  return dataclasses.replace(
    found,
    spec=spec,
    read_many=dataset.one_by_one(lambda place: split(found.read(place))),
    columns=None if found.columns is None else split(found.columns),
  )


def _folders(source: Source, settings, split, path, same_names) -> Dataset:
  """Sources in the folder `path`, images in `settings.path`."""
  field = 'pair' if same_names else 'unpaired'
  if settings.source != 'folder':
    raise errors.DataError(
      f"data.{field}='folder:{path}' needs data.source=folder, and the images "
      'in data.path'
    )
  if same_names:
    if settings.on_bad == 'skip':
      raise errors.DataError(
        "data.on_bad='skip' leaves the partners of skipped images alone; set "
        'data.on_bad=error and remove both files of a pair'
      )
    _refuse_lonely(settings.path, path)
  found = source(settings, split), source(_changed(settings, path=path), split)
  if same_names:
    return _beside(*found)
  return _mixed(found[1], found[0])


def _refuse_lonely(path: str, other: str) -> None:
  """Raises a DataError that names files whose partner is missing."""
  names = []
  for root in (pathlib.Path(p).expanduser() for p in (path, other)):
    files, _ = folder.list_files(root)
    names.append({f.relative_to(root).with_suffix('') for f in files})
    if len(names[-1]) < len(files):
      raise errors.DataError(
        f'{root} holds images whose names differ in their endings alone; a '
        'pair is two files of one name, one in each folder'
      )
  lonely = sorted(names[0] ^ names[1])
  if lonely:
    where = other if lonely[0] in names[0] else path
    raise errors.DataError(
      f'{len(lonely)} images have no partner of the same name, the first is '
      f'{str(lonely[0])!r}, which {where!r} lacks; add or remove files'
    )


def _refuse_sizes(image: Dataset, source: Dataset) -> None:
  for found in (image, source):
    _refuse_points(found)
  sizes = [found.spec.shape[:2] for found in (image, source)]
  if sizes[0] != sizes[1]:
    raise errors.DataError(
      f'images are {sizes[0][0]} x {sizes[0][1]} and their sources '
      f'{sizes[1][0]} x {sizes[1][1]}; set data.image_size'
    )


def _beside(image: Dataset, source: Dataset) -> Dataset:
  """Two data sets of equal length as one of pairs."""
  _refuse_sizes(image, source)
  columns = None
  if image.columns is not None and source.columns is not None:
    columns = {**image.columns, 'source': source.columns['image']}
  return dataclasses.replace(
    image,
    spec=dataclasses.replace(image.spec, source_shape=source.spec.shape),
    read_many=dataset.one_by_one(
      lambda place: {
        **image.read(place),
        'source': source.read(place)['image'],
      }
    ),
    columns=columns,
    identity={**image.identity, 'partner': dict(source.identity)},
  )


def _mixed(source: Dataset, image: Dataset) -> Dataset:
  """Two data sets of any lengths as one that is as long as the longer one."""
  rng = np.random.default_rng(0)
  size = max(source.size, image.size)
  source, image = (
    _without_labels(dataset.subset(found, rng.permutation(size) % found.size))
    for found in (source, image)
  )
  return _beside(image, source)


def _without_labels(found: Dataset) -> Dataset:
  """The same images; classes are what tells the domains apart."""
  columns = found.columns
  if columns is not None:
    columns = {'image': columns['image']}
  return dataclasses.replace(
    found,
    spec=dataset.Spec(found.spec.shape),
    read_many=dataset.one_by_one(
      lambda place: {'image': found.read(place)['image']}
    ),
    columns=columns,
    labels=None,
  )
