"""Features of Inception v3 for the Inception Score and Frechet distance (FID).

The network is the TensorFlow graph of 2015-12-05 as ported by pytorch-fid.
Salimans et al. 2016 (https://arxiv.org/abs/1606.03498, section 4) and Heusel et
al. 2017 (https://arxiv.org/abs/1706.08500) score with this graph. It differs
from Szegedy et al. 2015 (https://arxiv.org/abs/1512.00567): average pools
exclude padding, the last block has a max pool, and there are 1008 classes.
Modules have the names of the port, by which weights are loaded.
"""

import hashlib
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import batches, check, inception_network, pth

SIZE = (299, 299)
WANTED = (
  'Download pt_inception-2015-12-05-6726825d.pth from the release '
  'fid_weights of github.com/mseitzer/pytorch-fid.'
)
# name of a variable in Flax -> its name in the port.
PORT_NAMES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}


def resize(images: jax.Array, size: tuple[int, int] = SIZE) -> jax.Array:
  """Resizes float images [B, H, W, C] to [B, *size, C] bilinearly.

  Equals PyTorch's `interpolate(mode='bilinear', align_corners=False)`. Pixel i
  is interpolated at (i + 1/2) in / out - 1/2, clipped to the image. There is no
  antialiasing, as in published distances.
  """
  shape = (len(images), *size, images.shape[-1])
  return jax.image.resize(images, shape, 'bilinear', antialias=False)


def prepare(images: jax.Array) -> jax.Array:
  """Converts images [B, H, W, 1 or 3] to the network's input [B, 299, 299, 3].

  Args:
    images: uint8, or floats in [-1, 1].

  Raises:
    UserError: for another number of channels.
  """
  check.grey_or_rgb(images)
  images = pixels_lib.to_float(images).astype(jnp.float32)
  return resize(jnp.broadcast_to(images, (*images.shape[:-1], 3)))


def load(path) -> dict:
  """Loads the variables of `InceptionV3` from pytorch-fid's file of weights.

  Args:
    path: file with a state dict, see `pth.read`. If its name ends in a digest,
      as in the public file, the SHA-256 of the file must start with the digest.

  Raises:
    UserError: if the file is missing or damaged, or if a tensor is missing,
      unknown, or has another shape.
  """

  def refuse(reason):
    return errors.UserError(f'inception={str(path)!r}: {reason}. {WANTED}')

  path = paths.of_user(path, 'inception')
  try:
    tensors = pth.read(path)
  except errors.UserError as error:
    raise refuse(str(error).removeprefix(f'{path}: ')) from None
  digest = re.search(r'-([0-9a-f]{8,64})\.pth$', path.name)
  if digest:
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if not actual.startswith(digest[1]):
      raise refuse(f'damaged or another file, its SHA-256 is {actual[:8]}...')
  template = jax.eval_shape(
    inception_network.InceptionV3().init,
    jax.random.key(0),
    jnp.zeros((1, *SIZE, 3)),
  )
  variables = {}
  for keys, expected in traverse_util.flatten_dict(template).items():
    name = '.'.join([*keys[1:-1], PORT_NAMES[keys[-1]]])
    if name not in tensors:
      raise refuse(f'{name} is missing')
    value = tensors.pop(name)
    shape = expected.shape
    if len(shape) > 1:
      # Kernels of the port are [out, in] and [out, in, height, width].
      shape = (shape[-1], shape[-2], *shape[:-2])
    if value.shape != shape:
      raise refuse(f'{name} has shape {value.shape} instead of {shape}')
    if len(shape) > 1:
      value = np.moveaxis(value, (1, 0), (-2, -1))
    variables[keys] = value.astype(np.float32)
  for name in tensors:
    if not name.endswith('.num_batches_tracked'):
      raise refuse(f'{name} is no part of the network')
  return traverse_util.unflatten_dict(variables)


def features(path, batch_size: int = 50) -> Callable:
  """Returns the feature function of the Inception Score and FID.

  Pass uint8 images to compare with published distances, which are computed from
  images stored with 8 bits.

  Args:
    path: file of weights, see `load`.
    batch_size: images per call of the network.

  Returns:
    A function from images [N, H, W, 1 or 3], uint8 or floats in [-1, 1] of any
    size, to the NumPy arrays of `InceptionV3`: {'pool': [N, 2048], 'logits':
    [N, 1008], 'logits_unbiased': [N, 1008]}. Grey images are converted to
    colour. Errors of the function are those of `batches.in_batches`.

  Raises:
    UserError: for a wrong file, see `load`.
  """
  variables = jax.device_put(load(path))
  # Jitted separately, so that the network is compiled once for all image sizes.
  resized = jax.jit(prepare)
  network = jax.jit(inception_network.InceptionV3().apply)
  return batches.in_batches(
    lambda images: network(variables, resized(images)), batch_size
  )
