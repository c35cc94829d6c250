"""The Inception network is pytorch-fid's, and its weights are read safely.

`TORCH_PYTHON=PATH`, a Python with torch, torchvision and pytorch-fid, compares
both networks with random weights and statistics. Measured with pytorch-fid
0.3.0 and torch 2.13.0 on a CPU, two images of noise each of 28x28 grey, 32x32,
64x48, 299x299 and 320x410: the largest difference of a pool feature is 3.9e-6
of the root mean square of all, of a logit 2.7e-6 of theirs, of a resized pixel
within 1e-5. The test allows 1e-4, 1e-4 and 1e-5. For comparison: an average in
the place of the last maximum makes 1.3, padding counted in averages 0.19.

The public weights were not at hand. Their size, 95,628,359 bytes, is that of
the stream format: this network takes 95,617,195 to 95,646,604 in it, and at
least 95,687,183 as a zip archive.
"""

import os
import pathlib
import pickle
import re
import struct
import subprocess
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import errors
from jaxgan.metrics import batches, inception, inception_network, pth

PEER = pathlib.Path(__file__).parent.parent / 'benchmarks' / 'peers'
SIZES = [(28, 28, 1), (32, 32, 3), (64, 48, 3), (299, 299, 3), (320, 410, 3)]
ORDERED = b'ccollections\nOrderedDict\n)R'


def text(value):
  value = value.encode()
  return b'X' + struct.pack('<I', len(value)) + value


def number(value):
  return b'J' + struct.pack('<i', value)


def sequence(*values):
  return b'(' + b''.join(map(number, values)) + b't'


def tensor(key, size, shape, strides, offset=0, kind='Float', stream=False):
  """The opcodes with which `torch.save` writes a tensor."""
  storage = text('storage') + f'ctorch\n{kind}Storage\n'.encode()
  storage += text(key) + text('cpu') + number(size) + b'N' * stream
  return (
    b'ctorch._utils\n_rebuild_tensor_v2\n((' + storage + b'tQ' + number(offset)
  ) + (sequence(*shape) + sequence(*strides) + b'\x89' + ORDERED + b'tR')


def dictionary(items):
  pairs = b''.join(text(name) + value for name, value in items.items())
  return b'\x80\x02' + ORDERED + b'(' + pairs + b'u.'


def write(path, pickled, **storages):
  """The zip format."""
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('any/data.pkl', pickled)
    archive.writestr('any/byteorder', 'little')
    for key, values in storages.items():
      archive.writestr(f'any/data/{key}', values.tobytes())
  return path


def write_stream(path, pickled, **storages):
  """The format before PyTorch 1.6."""
  head = [pth.STREAM_MAGIC, 1001, {'little_endian': True}]
  with open(path, 'wb') as file:
    file.write(b''.join(pickle.dumps(value, 2) for value in head) + pickled)
    file.write(pickle.dumps(list(storages), 2))
    for values in storages.values():
      file.write(struct.pack('<q', values.size) + values.tobytes())
  return path


@pytest.mark.parametrize('form', [write, write_stream])
def test_reads_tensors(tmp_path, form):
  stream = form is write_stream
  values = np.arange(7, dtype=np.float32)
  items = {
    'plain': tensor('a', 7, (2, 3), (3, 1), 1, stream=stream),
    'transposed': tensor('a', 7, (3, 2), (1, 3), stream=stream),
    'scalar': tensor('b', 1, (), (), kind='Long', stream=stream),
  }
  path = form(
    tmp_path / 'x.pth', dictionary(items), a=values, b=np.array([5], np.int64)
  )
  found = pth.read(path)
  assert list(found) == list(items)
  np.testing.assert_array_equal(found['plain'], values[1:].reshape(2, 3))
  np.testing.assert_array_equal(found['transposed'], values[:6].reshape(2, 3).T)
  assert found['scalar'] == 5


@pytest.mark.parametrize('form', [write, write_stream])
@pytest.mark.parametrize(
  'where',
  [
    dict(shape=(8,), strides=(1,)),
    dict(shape=(2,), strides=(7,)),
    dict(shape=(2,), strides=(-1,)),
    dict(shape=(2,), strides=(1,), offset=6),
    dict(shape=(1,), strides=(1,), offset=-1),
  ],
)
def test_reads_nothing_outside_a_storage(tmp_path, form, where):
  items = {'x': tensor('a', 7, **where, stream=form is write_stream)}
  path = form(tmp_path / 'x.pth', dictionary(items), a=np.zeros(7, np.float32))
  with pytest.raises(errors.UserError, match='no state dict'):
    pth.read(path)


@pytest.mark.parametrize('form', [write, write_stream])
@pytest.mark.parametrize(
  'pickled',
  [
    b'\x80\x02cos\nsystem\n(' + text('echo executed') + b'tR.',
    b'\x80\x02cbuiltins\neval\n(' + text('print("executed")') + b'tR.',
    b'\x80\x02cjaxgan.errors\nUserError\n)R.',
  ],
)
def test_executes_nothing(tmp_path, form, pickled, capfd):
  path = form(tmp_path / 'x.pth', pickled)
  with pytest.raises(errors.UserError, match='no part of a state dict'):
    pth.read(path)
  assert not capfd.readouterr().out


def test_damaged_files(tmp_path):
  items = {'x': tensor('a', 7, (7,), (1,), stream=True)}
  whole = write_stream(
    tmp_path / 'x.pth', dictionary(items), a=np.ones(7, np.float32)
  ).read_bytes()
  path = tmp_path / 'cut.pth'
  for length in range(len(whole)):
    path.write_bytes(whole[:length])
    with pytest.raises(errors.UserError, match=re.escape(str(path))):
      pth.read(path)
  write_stream(path, dictionary(items))
  with pytest.raises(errors.UserError, match='not those of its tensors'):
    pth.read(path)
  items = {'x': tensor('a', 2**31 - 1, (7,), (1,), stream=True)}
  write_stream(path, dictionary(items), a=np.ones(7, np.float32))
  with pytest.raises(errors.UserError, match='cut off'):
    pth.read(path)
  write(path, dictionary({'epoch': number(3)}))
  with pytest.raises(errors.UserError, match="'epoch' is no tensor"):
    pth.read(path)
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('readme', '')
  with pytest.raises(errors.UserError, match=r'one data\.pkl'):
    pth.read(path)


@pytest.fixture(scope='module')
def variables():
  """Shapes of the network's variables."""
  images = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
  return jax.eval_shape(
    inception_network.InceptionV3().init, jax.random.key(0), images
  )


def test_network_has_the_known_size(variables):
  count = {
    name: sum(leaf.size for leaf in jax.tree.leaves(tree))
    for name, tree in variables.items()
  }
  # As torchvision counts without the auxiliary classifier, 1008 classes.
  assert count == {'params': 23_850_960, 'batch_stats': 34_432}
  images = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
  found = jax.eval_shape(
    inception_network.InceptionV3().apply, variables, images
  )
  assert {name: value.shape for name, value in found.items()} == {
    'pool': (2, 2048),
    'logits': (2, 1008),
    'logits_unbiased': (2, 1008),
  }


def state_dict(variables):
  """Tensors as pytorch-fid names and shapes them, each of one number."""
  items = {}
  for place, leaf in jax.tree.leaves_with_path(variables):
    *modules, last = [part.key for part in place[1:]]
    shape = leaf.shape
    if last == 'kernel':
      shape = (shape[-1], shape[-2], *shape[:-2])
    name = '.'.join([*modules, inception.PORT_NAMES[last]])
    items[name] = tensor('a', 1, shape, [0] * len(shape))
  items['Conv2d_1a_3x3.bn.num_batches_tracked'] = tensor('a', 1, (), ())
  return items


def test_loads_every_tensor(tmp_path, variables):
  path = tmp_path / 'x.pth'
  items = state_dict(variables)
  items['fc.weight'] = tensor('b', 2048 * 1008, (1008, 2048), (2048, 1))
  weights = np.arange(2048 * 1008, dtype=np.float32)
  write(path, dictionary(items), a=np.ones(1, np.float32), b=weights)
  found = inception.load(path)
  assert jax.tree.map(np.shape, found) == jax.tree.map(np.shape, variables)
  np.testing.assert_array_equal(
    found['params']['fc']['kernel'], weights.reshape(1008, 2048).T
  )


def test_says_what_is_wrong_with_weights(tmp_path, variables):
  one = np.ones(1, np.float32)

  def refused(items, name='x.pth'):
    path = write(tmp_path / name, dictionary(items), a=one)
    with pytest.raises(errors.UserError) as found:
      inception.features(path)
    said = str(found.value)
    assert said.startswith(f'inception={str(path)!r}: ')
    assert '\n' not in said
    assert 'pt_inception-2015-12-05-6726825d.pth' in said
    return said

  items = state_dict(variables)
  missing = dict(items)
  del missing['Mixed_6b.branch7x7_2.conv.weight']
  said = 'Mixed_6b.branch7x7_2.conv.weight is missing'
  assert said in refused(missing)
  # What torchvision's own weights would have.
  other = items | {'fc.weight': tensor('a', 1, (1000, 2048), (0, 0))}
  said = 'fc.weight has shape (1000, 2048) instead of (1008, 2048)'
  assert said in refused(other)
  more = items | {'AuxLogits.fc.bias': tensor('a', 1, (1000,), (0,))}
  assert 'AuxLogits.fc.bias is no part of the network' in refused(more)
  assert 'its SHA-256 is ' in refused(items, 'x-0123abcd.pth')
  with pytest.raises(errors.UserError, match=r'No such file.*\.pth'):
    inception.features(tmp_path / 'absent.pth')


def test_resize():
  grey = lambda *rows: jnp.array(rows, jnp.float32)[None, :, :, None]
  # Read at -1/4, 1/4, 3/4 and 5/4, within 0 and 1.
  found = inception.resize(grey([0.0, 1.0], [2.0, 3.0]), (4, 4))
  steps = np.array([0, 0.25, 0.75, 1])
  expected = 2 * steps[:, None] + steps[None]
  np.testing.assert_allclose(found[0, :, :, 0], expected, atol=1e-6)
  # Read at 3/4 and 11/4: an average over pixels would give others.
  found = inception.resize(grey([0.0, 8.0, 0.0, 0.0, 4.0]), (1, 2))
  np.testing.assert_allclose(found[0, 0, :, 0], [6.0, 1.0], atol=1e-6)


def test_prepares_images():
  grey = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 1), np.uint8)
  found = inception.prepare(grey)
  assert found.shape == (2, 299, 299, 3)
  np.testing.assert_array_equal(found[..., 0], found[..., 2])
  assert found.min() >= -1
  assert found.max() <= 1
  floats = grey / 127.5 - 1
  np.testing.assert_allclose(found[:, 0, 0, 0], floats[:, 0, 0, 0], atol=1e-6)
  np.testing.assert_allclose(found, inception.prepare(floats), atol=1e-6)


def test_batches_change_nothing():
  shapes = []

  def mean(images):
    shapes.append(images.shape)
    return {'mean': images.mean(axis=(1, 2), dtype=float)}

  call = batches.in_batches(mean, 4)
  images = np.random.default_rng(0).integers(0, 256, (10, 3, 2, 3), np.uint8)
  np.testing.assert_array_equal(call(images)['mean'], images.mean(axis=(1, 2)))
  assert shapes == [(4, 3, 2, 3)] * 3
  assert call(jnp.zeros((2, 3, 2, 1)))['mean'].shape == (2, 1)


@pytest.mark.parametrize(
  ('images', 'said'),
  [
    (np.zeros((0, 4, 4, 3)), 'images has 0 rows'),
    (np.zeros((4, 4, 3)), r'shape \(4, 4, 3\)'),
    (np.zeros((1, 4, 4, 3), int), 'dtype int64'),
    (np.full((1, 4, 4, 3), 255.0), r'values in \[255, 255\]'),
    (np.full((1, 4, 4, 3), np.nan), 'images has NaN'),
  ],
)
def test_refuses_other_images(images, said):
  with pytest.raises(errors.UserError, match=said):
    batches.in_batches(lambda x: {'x': x}, 4)(images)


def test_two_channels_are_no_colour():
  with pytest.raises(errors.UserError, match=r'shape \(1, 4, 4, 2\)'):
    inception.prepare(jnp.zeros((1, 4, 4, 2)))


@pytest.mark.skipif(
  'TORCH_PYTHON' not in os.environ,
  reason='TORCH_PYTHON: a Python with torch, torchvision and pytorch-fid',
)
def test_agrees_with_pytorch_fid(tmp_path):
  rng = np.random.default_rng(0)
  images = {
    'x'.join(map(str, size)): rng.integers(0, 256, (2, *size), np.uint8)
    for size in SIZES
  }
  np.savez(tmp_path / 'images.npz', **images)
  subprocess.run(
    [os.environ['TORCH_PYTHON'], PEER / 'torch_inception.py', tmp_path],
    check=True,
  )
  expected = np.load(tmp_path / 'features.npz')
  stream = pth.read(tmp_path / 'stream.pth')
  for name, value in pth.read(tmp_path / 'random.pth').items():
    np.testing.assert_array_equal(value, stream[name])
  features = inception.features(tmp_path / 'stream.pth', batch_size=2)
  for name, batch in images.items():
    np.testing.assert_allclose(
      inception.prepare(batch), expected[f'{name}/resized'], rtol=0, atol=1e-5
    )
    found = features(batch)
    for part in ('pool', 'logits'):
      wanted = expected[f'{name}/{part}']
      scale = np.sqrt(np.mean(wanted**2))
      error = np.abs(found[part] - wanted).max() / scale
      print(f'{name} {part}: {error:.1e} of {scale:.1f}')
      assert error < 1e-4
    bias = stream['fc.bias'][None]
    np.testing.assert_allclose(
      found['logits_unbiased'], found['logits'] - bias, rtol=0, atol=1e-4
    )
