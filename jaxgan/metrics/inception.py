"""The network of the Inception Score and the Frechet Inception Distance.

Inception v3 (Szegedy et al. 2015, https://arxiv.org/abs/1512.00567) in the form
of the TensorFlow graph of 2015-12-05, with which Salimans et al. 2016
(https://arxiv.org/abs/1606.03498, section 4) and Heusel et al. 2017
(https://arxiv.org/abs/1706.08500) score, as pytorch-fid ported it: average
pools leave padding out, the last block pools by maximum, 1008 classes. Modules
have the port's names, so that its weights are found by name.
"""

import hashlib
import pathlib
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxgan import errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import batches, inception_network, pth

SIZE = (299, 299)
WANTED = (
  'wanted is pt_inception-2015-12-05-6726825d.pth, from the release '
  'fid_weights of github.com/mseitzer/pytorch-fid'
)
# What variables are called in Flax and in the port.
PORT_NAMES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}


def resize(images: jax.Array, size: tuple[int, int] = SIZE) -> jax.Array:
  """Images [B, H, W, C] of floats to [B, *size, C], bilinear.

  As `interpolate(mode='bilinear', align_corners=False)` of PyTorch: pixel i is
  read at (i + 1/2) in / out - 1/2, between the two pixels next to it, within
  the image. Nothing is averaged where images shrink, so fine patterns alias;
  published distances have it so.
  """
  shape = (len(images), *size, images.shape[-1])
  return jax.image.resize(images, shape, 'bilinear', antialias=False)


def prepare(images: jax.Array) -> jax.Array:
  """Images [B, H, W, 1 or 3] to what the network takes: [B, 299, 299, 3].

  Args:
    images: uint8, or floats in [-1, 1].
  """
  if images.shape[-1] not in (1, 3):
    raise errors.UserError(
      f'images has shape {images.shape}; give [N, H, W, 1 or 3]'
    )
  images = pixels_lib.to_float(images).astype(jnp.float32)
  return resize(jnp.broadcast_to(images, (*images.shape[:-1], 3)))


def load(path) -> dict:
  """The variables of `InceptionV3` from pytorch-fid's file of weights.

  Args:
    path: of a state dict, see `pth.read`. Where its name ends in a digest, as
      that of the public file does, the content must have it (SHA-256).

  Raises:
    UserError: if the file is missing or damaged, or lacks a tensor, or has
      another one or one of another shape; says which, and what is wanted.
  """

  def refuse(reason):
    return errors.UserError(f'inception={str(path)!r}: {reason}; {WANTED}')

  path = pathlib.Path(path)
  try:
    tensors = pth.read(path)
  except errors.UserError as error:
    raise refuse(str(error).removeprefix(f'{path}: ')) from None
  digest = re.search(r'-([0-9a-f]{8,64})\.pth$', path.name)
  if digest:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(digest[1]):
      raise refuse(f'damaged or another file, its SHA-256 is {found[:8]}...')
  template = jax.eval_shape(
    inception_network.InceptionV3().init,
    jax.random.key(0),
    jnp.zeros((1, *SIZE, 3)),
  )
  variables = {}
  for place, wanted in traverse_util.flatten_dict(template).items():
    name = '.'.join([*place[1:-1], PORT_NAMES[place[-1]]])
    if name not in tensors:
      raise refuse(f'{name} is missing')
    value = tensors.pop(name)
    shape = wanted.shape
    if len(shape) > 1:
      # The port has [out, in] and [out, in, height, width].
      shape = (shape[-1], shape[-2], *shape[:-2])
    if value.shape != shape:
      raise refuse(f'{name} has shape {value.shape} instead of {shape}')
    if len(shape) > 1:
      value = np.moveaxis(value, (1, 0), (-2, -1))
    variables[place] = value.astype(np.float32)
  for name in tensors:
    if not name.endswith('.num_batches_tracked'):
      raise refuse(f'{name} is no part of the network')
  return traverse_util.unflatten_dict(variables)


def features(path, batch_size: int = 50) -> Callable:
  """The features by which the Inception Score and FID compare images.

  Published distances are of images that were stored with 8 bits: give uint8
  for numbers that are to be compared with those.

  Args:
    path: of the weights, see `load`.
    batch_size: images at a time.

  Returns:
    images [N, H, W, 1 or 3], uint8 or floats in [-1, 1], of any size ->
    {'pool': [N, 2048], 'logits': [N, 1008], 'logits_unbiased': [N, 1008]}, see
    `InceptionV3`, NumPy float32. Grey images are taken as colour ones.

  Raises:
    UserError: see `load`; the function itself, see `batches.in_batches`.
  """
  variables = jax.device_put(load(path))
  # Apart, so that the network is compiled once for images of all sizes.
  resized = jax.jit(prepare)
  network = jax.jit(inception_network.InceptionV3().apply)
  return batches.in_batches(
    lambda images: network(variables, resized(images)), batch_size
  )
