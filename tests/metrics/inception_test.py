"""The Inception network equals pytorch-fid, and weights are read safely.

Set `TORCH_PYTHON=PATH`, a Python with torch, torchvision and pytorch-fid, to
compare both networks with random weights and statistics.

The comparison was run with pytorch-fid 0.3.0 and torch 2.13.0 on a CPU, on two
images of noise of each size (28x28 grey, 32x32, 64x48, 299x299, 320x410).
Largest differences, relative to the root mean square: pool features 3.9e-6,
logits 2.7e-6. Resized pixels differ by less than 1e-5. The test allows 1e-4,
1e-4 and 1e-5. Errors in the port are larger: an average pool instead of the
last max pool gives 1.3, and averages that count padding give 0.19.

The public weights were not available. Their size of 95,628,359 bytes fits the
stream format: this network needs 95,617,195 to 95,646,604 bytes as a stream and
at least 95,687,183 as a zip archive.
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

PEER = pathlib.Path(__file__).parents[2] / 'benchmarks' / 'peers'
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
  """Returns the opcodes with which `torch.save` writes a tensor."""
  storage = text('storage') + f'ctorch\n{kind}Storage\n'.encode()
  storage += text(key) + text('cpu') + number(size) + b'N' * stream
  return (
    b'ctorch._utils\n_rebuild_tensor_v2\n((' + storage + b'tQ' + number(offset)
  ) + (sequence(*shape) + sequence(*strides) + b'\x89' + ORDERED + b'tR')


def dictionary(items):
  pairs = b''.join(text(name) + value for name, value in items.items())
  return b'\x80\x02' + ORDERED + b'(' + pairs + b'u.'


def write(path, pickled, **storages):
  """Writes the zip format."""
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('any/data.pkl', pickled)
    archive.writestr('any/byteorder', 'little')
    for key, values in storages.items():
      archive.writestr(f'any/data/{key}', values.tobytes())
  return path


def write_stream(path, pickled, **storages):
  """Writes the stream format of PyTorch before 1.6."""
  head = [pth.STREAM_MAGIC, 1001, {'little_endian': True}]
  with open(path, 'wb') as file:
    file.write(b''.join(pickle.dumps(value, 2) for value in head) + pickled)
    file.write(pickle.dumps(list(storages), 2))
    for values in storages.values():
      file.write(struct.pack('<q', values.size) + values.tobytes())
  return path


@pytest.mark.parametrize('form', [write, write_stream])
def test_read_returns_tensors_of_both_formats(tmp_path, form):
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
  tensors = pth.read(path)
  assert list(tensors) == list(items)
  np.testing.assert_array_equal(tensors['plain'], values[1:].reshape(2, 3))
  np.testing.assert_array_equal(
    tensors['transposed'], values[:6].reshape(2, 3).T
  )
  assert tensors['scalar'] == 5


@pytest.mark.parametrize('form', [write, write_stream])
@pytest.mark.parametrize(
  'view',
  [
    dict(shape=(8,), strides=(1,)),
    dict(shape=(2,), strides=(7,)),
    dict(shape=(2,), strides=(-1,)),
    dict(shape=(2,), strides=(1,), offset=6),
    dict(shape=(1,), strides=(1,), offset=-1),
  ],
)
def test_read_refuses_tensors_outside_a_storage(tmp_path, form, view):
  items = {'x': tensor('a', 7, **view, stream=form is write_stream)}
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
def test_read_executes_no_code(tmp_path, form, pickled, capfd):
  path = form(tmp_path / 'x.pth', pickled)
  with pytest.raises(errors.UserError, match='is not allowed'):
    pth.read(path)
  assert not capfd.readouterr().out


def test_read_refuses_damaged_files(tmp_path):
  items = {'x': tensor('a', 7, (7,), (1,), stream=True)}
  content = write_stream(
    tmp_path / 'x.pth', dictionary(items), a=np.ones(7, np.float32)
  ).read_bytes()
  path = tmp_path / 'cut.pth'
  for length in range(len(content)):
    path.write_bytes(content[:length])
    with pytest.raises(errors.UserError, match=re.escape(str(path))):
      pth.read(path)
  write_stream(path, dictionary(items))
  with pytest.raises(errors.UserError, match='storages and tensors do not'):
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
  """Returns the shapes of the network's variables."""
  images = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
  return jax.eval_shape(
    inception_network.InceptionV3().init, jax.random.key(0), images
  )


def test_network_has_the_known_size(variables):
  count = {
    name: sum(leaf.size for leaf in jax.tree.leaves(tree))
    for name, tree in variables.items()
  }
  # The count of torchvision without auxiliary classifier, with 1008 classes.
  assert count == {'params': 23_850_960, 'batch_stats': 34_432}
  images = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
  outputs = jax.eval_shape(
    inception_network.InceptionV3().apply, variables, images
  )
  assert {name: value.shape for name, value in outputs.items()} == {
    'pool': (2, 2048),
    'logits': (2, 1008),
    'logits_unbiased': (2, 1008),
  }


def state_dict(variables):
  """Returns constant tensors with pytorch-fid's names and shapes."""
  items = {}
  for keys, leaf in jax.tree.leaves_with_path(variables):
    *modules, last = [part.key for part in keys[1:]]
    shape = leaf.shape
    if last == 'kernel':
      shape = (shape[-1], shape[-2], *shape[:-2])
    name = '.'.join([*modules, inception.PORT_NAMES[last]])
    items[name] = tensor('a', 1, shape, [0] * len(shape))
  items['Conv2d_1a_3x3.bn.num_batches_tracked'] = tensor('a', 1, (), ())
  return items


def test_load_returns_every_tensor(tmp_path, variables):
  path = tmp_path / 'x.pth'
  items = state_dict(variables)
  items['fc.weight'] = tensor('b', 2048 * 1008, (1008, 2048), (2048, 1))
  weights = np.arange(2048 * 1008, dtype=np.float32)
  write(path, dictionary(items), a=np.ones(1, np.float32), b=weights)
  loaded = inception.load(path)
  assert jax.tree.map(np.shape, loaded) == jax.tree.map(np.shape, variables)
  np.testing.assert_array_equal(
    loaded['params']['fc']['kernel'], weights.reshape(1008, 2048).T
  )


def test_load_names_the_wrong_tensor(tmp_path, variables):
  one = np.ones(1, np.float32)

  def refused(items, name='x.pth'):
    path = write(tmp_path / name, dictionary(items), a=one)
    with pytest.raises(errors.UserError) as caught:
      inception.features(path)
    message = str(caught.value)
    assert message.startswith(f'inception={str(path)!r}: ')
    assert '\n' not in message
    assert 'pt_inception-2015-12-05-6726825d.pth' in message
    return message

  items = state_dict(variables)
  missing = dict(items)
  del missing['Mixed_6b.branch7x7_2.conv.weight']
  expected = 'Mixed_6b.branch7x7_2.conv.weight is missing'
  assert expected in refused(missing)
  # The shape in torchvision's own weights.
  other = items | {'fc.weight': tensor('a', 1, (1000, 2048), (0, 0))}
  expected = 'fc.weight has shape (1000, 2048) instead of (1008, 2048)'
  assert expected in refused(other)
  more = items | {'AuxLogits.fc.bias': tensor('a', 1, (1000,), (0,))}
  assert 'AuxLogits.fc.bias is no part of the network' in refused(more)
  assert 'its SHA-256 is ' in refused(items, 'x-0123abcd.pth')
  with pytest.raises(errors.UserError, match=r'No such file.*\.pth'):
    inception.features(tmp_path / 'absent.pth')


def test_resize_equals_bilinear_interpolation_of_pytorch():
  grey = lambda *rows: jnp.array(rows, jnp.float32)[None, :, :, None]
  # Interpolates at -1/4, 1/4, 3/4 and 5/4, clipped to 0 and 1.
  resized = inception.resize(grey([0.0, 1.0], [2.0, 3.0]), (4, 4))
  steps = np.array([0, 0.25, 0.75, 1])
  expected = 2 * steps[:, None] + steps[None]
  np.testing.assert_allclose(resized[0, :, :, 0], expected, atol=1e-6)
  # Interpolates at 3/4 and 11/4; antialiasing would give other values.
  resized = inception.resize(grey([0.0, 8.0, 0.0, 0.0, 4.0]), (1, 2))
  np.testing.assert_allclose(resized[0, 0, :, 0], [6.0, 1.0], atol=1e-6)


def test_prepare_converts_grey_images():
  grey = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 1), np.uint8)
  images = inception.prepare(grey)
  assert images.shape == (2, 299, 299, 3)
  np.testing.assert_allclose(images[..., 0], images[..., 2], atol=1e-6)
  assert images.min() >= -1
  assert images.max() <= 1
  floats = grey / 127.5 - 1
  np.testing.assert_allclose(images[:, 0, 0, 0], floats[:, 0, 0, 0], atol=1e-6)
  np.testing.assert_allclose(images, inception.prepare(floats), atol=1e-6)


def test_in_batches_equals_one_call():
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
  ('images', 'message'),
  [
    (np.zeros((0, 4, 4, 3)), 'images has 0 rows'),
    (np.zeros((4, 4, 3)), r'shape \(4, 4, 3\)'),
    (np.zeros((1, 4, 4, 3), int), 'dtype int64'),
    (np.full((1, 4, 4, 3), 255.0), r'values in \[255, 255\]'),
    (np.full((1, 4, 4, 3), np.nan), 'images has NaN'),
  ],
)
def test_in_batches_refuses_wrong_images(images, message):
  with pytest.raises(errors.UserError, match=message):
    batches.in_batches(lambda x: {'x': x}, 4)(images)


def test_prepare_refuses_two_channels():
  with pytest.raises(errors.UserError, match=r'shape \(1, 4, 4, 2\)'):
    inception.prepare(jnp.zeros((1, 4, 4, 2)))


@pytest.mark.skipif(
  'TORCH_PYTHON' not in os.environ,
  reason='TORCH_PYTHON: a Python with torch, torchvision and pytorch-fid',
)
def test_features_equal_pytorch_fid(tmp_path):
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
    outputs = features(batch)
    for part in ('pool', 'logits'):
      peer = expected[f'{name}/{part}']
      scale = np.sqrt(np.mean(peer**2))
      error = np.abs(outputs[part] - peer).max() / scale
      print(f'{name} {part}: {error:.1e} of {scale:.1f}')
      assert error < 1e-4
    bias = stream['fc.bias'][None]
    np.testing.assert_allclose(
      outputs['logits_unbiased'], outputs['logits'] - bias, rtol=0, atol=1e-4
    )
