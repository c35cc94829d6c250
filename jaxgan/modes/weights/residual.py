"""Residual networks of BigGAN-PyTorch, StudioGAN and mimicry.

  ajbrock/BigGAN-PyTorch            `BigGAN.py`
  POSTECH-CVLab/PyTorch-StudioGAN   `models/resnet.py`, `models/big_resnet.py`
  kwotsin/mimicry                   SNGAN, SAGAN, cGAN with projection

A file is the state dict of one network. The kinds of layers follow from names
of parameters, and sizes from shapes.
"""

import math
import re

import numpy as np

from jaxgan.modes.weights.network import Network, refusal
from jaxgan.modes.weights.residual_layers import (
  Layer,
  arrays_of,
  find_blocks,
  find_layers,
)

BIGGAN, STUDIOGAN, MIMICRY = 'BigGAN-PyTorch', 'StudioGAN', 'mimicry'
# A layer that only one codebase has -> the codebase.
_MARKS = {
  r'blocks\.0\.0\.conv1\.weight': BIGGAN,
  r'blocks\.0\.0\.conv2d1\.weight(_orig)?': STUDIOGAN,
  r'block2\.c1\.weight(_orig)?': MIMICRY,
}
_EPSILONS = {BIGGAN: 1e-5, STUDIOGAN: 1e-4, MIMICRY: 1e-5}


def source(tensors) -> str:
  """Returns the codebase of a state dict, or ''."""
  for mark, name in _MARKS.items():
    if any(re.fullmatch(mark, key) for key in tensors):
      return name
  return ''


def convert(path, tensors: dict[str, np.ndarray]) -> Network:
  """Returns the network of a state dict.

  Args:
    path: the file, for errors.
    tensors: the state dict, of a codebase that `source` knows.

  Raises:
    UserError: names modules that these networks do not have.
  """
  names = {name.rpartition('.')[0] for name in tensors}
  player = (
    'generator'
    if names & {'l1', 'linear0', 'output_layer.0'}
    else 'discriminator'
  )
  try:
    blocks, attention = find_blocks(names, player)
    layers = find_layers(tensors, player, blocks)
    make = _generator if player == 'generator' else _discriminator
    return make(path, source(tensors), layers, attention)
  except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
    what = f'no {player} of {source(tensors)}'
    raise refusal(path, what, str(error) or type(error).__name__) from None


def _by_name(layers: list[Layer]) -> dict[tuple[str, str], np.ndarray]:
  return {(layer.name, layer.inner): layer.weight for layer in layers}


def _widths(weights, kind: str) -> list[tuple[int, ...]]:
  """Returns the shapes [out, in, 3, 3] of both convolutions of each block."""
  count = sum(
    re.fullmatch(rf'{kind}_\d+/Conv_0', n) is not None for n, _ in weights
  )
  return [
    [weights[f'{kind}_{block}/Conv_{index}', ''].shape for index in (0, 1)]
    for block in range(count)
  ]


def _generator(path, codebase, layers: list[Layer], attention) -> Network:
  weights = _by_name(layers)
  shapes = _widths(weights, 'GeneratorBlock')
  widths = (shapes[0][0][1], *(first[0] for first, _ in shapes))
  rows, latents = weights['Dense_0', ''].shape
  bottom = math.isqrt(rows // widths[0])
  norm = 'GeneratorBlock_0/ConditionalBatchNorm_0'
  labels, gain = weights.get(('labels', '')), weights.get((norm, 'gain'))
  embed = weights.get((norm, 'embed'))
  is_embedding = codebase == BIGGAN and labels is None
  classes = embedding = own = 0
  if labels is not None:
    classes, embedding = labels.shape
    own = gain.shape[1] - embedding
  elif embed is not None:
    classes = len(embed)
  elif is_embedding and gain is not None:
    classes = len(gain)
  elif gain is not None and gain.shape[1] == latents:
    own = latents  # no labels, and norms that see a part of the latents
  elif gain is not None:
    classes = gain.shape[1]
  spectral = [
    f for f in layers if {'weight_u', 'u0', 'sn_u'} & f.tensors.keys()
  ]
  spectral_labels = (
    codebase == STUDIOGAN
    and not (embedding or own)
    and any(layer.is_norm for layer in spectral)
  )
  is_table = not (embedding or own or spectral_labels)
  arrays = {}
  for layer in layers:
    pixels = bottom**2 if layer.name == 'Dense_0' else 0
    arrays |= arrays_of(layer, pixels, is_table, is_embedding)
  side = bottom * 2 ** len(shapes)
  channels = weights['Conv_0', ''].shape[0]
  return Network(
    path,
    codebase,
    'generator',
    dict(
      name='resnet.Generator',
      widths=widths,
      upsampling='bilinear' if codebase == MIMICRY else 'nearest',
      attention=tuple(attention),
      hierarchical=own > 0,
      embedding=embedding,
      spectral_labels=spectral_labels,
      epsilon=_EPSILONS[codebase],
      spectral_norm=bool(spectral),
    ),
    arrays,
    classes,
    latents * (len(shapes) + 1) if own else latents,
    (side, side, channels),
  )


def _discriminator(path, codebase, layers: list[Layer], attention) -> Network:
  weights = _by_name(layers)
  shapes = _widths(weights, 'DiscriminatorBlock')
  has_shortcut = [
    (f'DiscriminatorBlock_{block}/Conv_2', '') in weights
    for block in range(len(shapes))
  ]
  strides = [2 if shortcut else 1 for shortcut in has_shortcut]
  if codebase != MIMICRY:  # Its last block has a shortcut for its channels.
    strides[-1] = 1
  wide = all(first[0] == second[0] for first, second in shapes)
  labels = weights.get(('Dense_1', ''))
  arrays = {}
  for layer in layers:
    arrays |= arrays_of(layer, 0, False, False)
  return Network(
    path,
    codebase,
    'discriminator',
    dict(
      name='resnet.Discriminator',
      widths=tuple(second[0] for _, second in shapes),
      strides=tuple(strides),
      wide=wide,
      rectified=codebase != BIGGAN,
      attention=tuple(attention),
      spectral_norm=any(key.startswith('spectral/') for key in arrays),
    ),
    arrays,
    0 if labels is None else len(labels),
  )
