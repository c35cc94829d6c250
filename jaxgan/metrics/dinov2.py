"""Features of DINOv2 for Frechet distances, from Meta's files of weights.

Stein et al. 2023 (https://arxiv.org/abs/2306.04675, section 4) compare networks
with the judgement of people, and recommend DINOv2 over Inception. Images and
weights are prepared as in their code (dgm-eval), which reads the authors'
networks. The files `dinov2_vits14_pretrain.pth`, `vitb14` and `vitl14` are
read; Stein et al. score with `vitl14`.
"""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import batches, check, dinov2_network, pth

SIDE = 224
GRID = SIDE // dinov2_network.PATCH  # patches of a side
WANTED = (
  'Download dinov2_vits14_pretrain.pth, or that of vitb14 or vitl14, from '
  'github.com/facebookresearch/dinov2.'
)
# Statistics of ImageNet, of pixels in [0, 1].
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Limits of what a file may say, beyond all published networks.
MOST_WIDTH, MOST_DEPTH, MOST_GRID = 2_048, 64, 64
OFFSET = 0.1  # of the number of patches, in the authors' code
_UNUSED = 'mask_token'


def prepare(images: jax.Array) -> jax.Array:
  """Converts images [B, H, W, 1 or 3] to the network's input [B, 224, 224, 3].

  The resize is the bicubic one of Pillow, which rounds to 8 bits after rows and
  after columns. Sides may change in proportion.

  Args:
    images: uint8, or floats in [-1, 1].

  Raises:
    UserError: for another number of channels.
  """
  check.grey_or_rgb(images)
  x = jnp.round((pixels_lib.to_float(images) + 1.0) * 127.5)
  for axis in (2, 1):
    if x.shape[axis] != SIDE:
      shape = [SIDE if k == axis else n for k, n in enumerate(x.shape)]
      x = jax.image.resize(
        x, shape, 'cubic', precision=jax.lax.Precision.HIGHEST
      )
      x = jnp.clip(jnp.round(x), 0.0, 255.0)
  x = jnp.broadcast_to(x, (*x.shape[:-1], 3)) / 255.0
  mean, deviation = (jnp.asarray(v, x.dtype) for v in (MEAN, DEVIATION))
  return (x - mean[None, None, None]) / deviation[None, None, None]


def _cubic(distance: np.ndarray) -> np.ndarray:
  """Keys' kernel with a = -3/4, as in PyTorch's `interpolate`."""
  x, a = np.abs(distance), -0.75
  near = (a + 2.0) * x**3 - (a + 3.0) * x**2 + 1.0
  far = a * (x**3 - 5.0 * x**2 + 8.0 * x - 4.0)
  return np.where(x <= 1.0, near, np.where(x < 2.0, far, 0.0))


def positions(embedding: np.ndarray, grid: int = GRID) -> np.ndarray:
  """Interpolates the embedding of positions to another number of patches.

  Equals the authors' code: bicubic, borders repeated, without antialiasing. The
  scale is that of `grid` + 0.1 patches.

  Args:
    embedding: [1, 1 + M^2, D], the class token first.
    grid: patches of a side of the result.

  Returns:
    [1, 1 + grid^2, D]; the embedding, if M is `grid`.
  """
  side = round((embedding.shape[1] - 1) ** 0.5)
  if side == grid:
    return embedding
  places = (np.arange(grid) + 0.5) * side / (grid + OFFSET) - 0.5
  taps = np.floor(places)[:, None] + np.arange(-1, 3)  # [grid, 4]
  weights = _cubic(places[:, None] - taps)
  matrix = np.zeros((grid, side))
  columns = np.clip(taps, 0, side - 1).astype(int)
  np.add.at(matrix, (np.arange(grid)[:, None], columns), weights)
  patches = embedding[0, 1:].reshape(side, side, -1)
  patches = np.einsum('ai,bj,ijd->abd', matrix, matrix, patches, optimize=True)
  patches = patches.reshape(1, grid * grid, -1)
  return np.concatenate([embedding[:, :1], patches], axis=1)


def _network(tensors: Mapping) -> dinov2_network.VisionTransformer:
  """Returns the network whose sizes the tensors have."""
  width = np.shape(tensors.get('cls_token', ()))[-1:] or (0,)
  blocks = {
    match[1]
    for name in tensors
    if (match := re.match(r'blocks\.(\d+)\.', name))
  }
  grid = (np.shape(tensors.get('pos_embed', ()))[1:2] or (0,))[0] - 1
  head = dinov2_network.HEAD
  if (
    not (head <= width[0] <= MOST_WIDTH and width[0] % head == 0)
    or not 1 <= len(blocks) <= MOST_DEPTH
    or not 1 <= grid <= MOST_GRID**2
    or round(grid**0.5) ** 2 != grid
  ):
    raise errors.UserError(
      f'width {width[0]}, {len(blocks)} blocks and {grid} positions are not '
      'those of a network of DINOv2'
    )
  return dinov2_network.VisionTransformer(width[0], len(blocks))


def convert(tensors: Mapping[str, np.ndarray]):
  """Returns network and variables of a state dict, in the types of the tensors.

  Args:
    tensors: arrays by their names in the authors' code.

  Raises:
    UserError: if a tensor is missing, unknown, or has another shape.
  """
  network = _network(tensors)
  template = jax.eval_shape(
    network.init, jax.random.key(0), jnp.zeros((1, SIDE, SIDE, 3))
  )
  left = set(tensors) - {_UNUSED}

  def take(name, shape):
    if name not in left:
      raise errors.UserError(f'{name} is missing')
    left.remove(name)
    value = tensors[name]
    if name == 'pos_embed':
      if value.shape[::2] != shape[::2]:
        raise errors.UserError(f'{name} has shape {value.shape}')
      return positions(value)
    if len(shape) > 1 and name.endswith('weight'):
      # Kernels of PyTorch are [out, in] and [out, in, height, width].
      shape = (shape[-1], shape[-2], *shape[:-2])
    if value.shape != shape:
      raise errors.UserError(
        f'{name} has shape {value.shape} instead of {shape}'
      )
    if len(shape) > 1 and name.endswith('weight'):
      value = np.moveaxis(value, (1, 0), (-2, -1))
    return value

  variables = {}
  for keys, expected in traverse_util.flatten_dict(template).items():
    *owner, last = keys[1:]
    last = {'kernel': 'weight', 'scale': 'weight'}.get(last, last)
    if owner == ['patch_embed']:
      owner.append('proj')
    if owner[:1] == ['blocks']:
      variables[keys] = np.stack(
        [
          take(
            '.'.join(['blocks', str(k), *owner[1:], last]), expected.shape[1:]
          )
          for k in range(network.depth)
        ]
      )
    else:
      variables[keys] = take('.'.join([*owner, last]), expected.shape)
  if left:
    raise errors.UserError(f'{min(left)} is no part of the network')
  return network, traverse_util.unflatten_dict(variables)


def load(path):
  """Loads network and variables from one of Meta's files of weights.

  Args:
    path: file with a state dict, see `pth.read`. Width, depth and the number of
      positions follow from the tensors.

  Raises:
    UserError: if the file is missing or damaged, or holds another network.
  """
  path = paths.of_user(path, 'dinov2')
  try:
    network, variables = convert(pth.read(path))
  except errors.UserError as error:
    reason = str(error).removeprefix(f'{path}: ')
    raise errors.UserError(
      f'dinov2={str(path)!r}: {reason}. {WANTED}'
    ) from None
  return network, jax.tree.map(lambda x: x.astype(np.float32), variables)


def features(path, batch_size: int = 50):
  """Returns the network and the feature function of a file of DINOv2.

  Args:
    path: file of weights, see `load`.
    batch_size: images per call of the network.

  Returns:
    The network, and a function from images [N, H, W, 1 or 3], uint8 or floats
    in [-1, 1] of any size, to {'features': [N, D]}, class tokens. Grey images
    are converted to colour. Errors of the function are those of
    `batches.in_batches`.

  Raises:
    UserError: for a wrong file, see `load`.
  """
  network, variables = load(path)
  variables = jax.device_put(variables)
  # Jitted separately, so that the network is compiled once for all image sizes.
  prepared, apply = jax.jit(prepare), jax.jit(network.apply)
  call = batches.in_batches(
    lambda images: {'features': apply(variables, prepared(images))}, batch_size
  )
  return network, call
