"""Modules of residual networks in PyTorch's codebases, and their arrays."""

import re
from typing import NamedTuple

import numpy as np

from jaxgan.modes.weights.network import iterate

# Layers of a block -> ours.
_LAYERS = {
  **dict.fromkeys(('c1', 'conv1', 'conv2d1'), 'Conv_0'),
  **dict.fromkeys(('c2', 'conv2', 'conv2d2'), 'Conv_1'),
  **dict.fromkeys(('c_sc', 'conv_sc', 'conv2d0'), 'Conv_2'),
  **dict.fromkeys(('b1', 'bn1'), 'ConditionalBatchNorm_0'),
  **dict.fromkeys(('b2', 'bn2'), 'ConditionalBatchNorm_1'),
  **dict.fromkeys(('theta', 'conv1x1_theta'), 'Conv_0'),
  **dict.fromkeys(('phi', 'conv1x1_phi'), 'Conv_1'),
  **dict.fromkeys(('g', 'conv1x1_g'), 'Conv_2'),
  **dict.fromkeys(('o', 'conv1x1_attn'), 'Conv_3'),
}
# Layers outside of blocks -> ours. mimicry numbers them after the last block.
_GENERATOR = {
  **dict.fromkeys(('l1', 'linear0', 'linear'), 'Dense_0'),
  **dict.fromkeys(('bN', 'bn4', 'output_layer.0'), 'ConditionalBatchNorm_0'),
  **dict.fromkeys(('cN', 'conv2d5', 'output_layer.2'), 'Conv_0'),
  'shared': 'labels',
}
_DISCRIMINATOR = {
  **dict.fromkeys(('lN', 'linear1', 'linear'), 'Dense_0'),
  **dict.fromkeys(('l_y', 'embedding', 'embed'), 'Dense_1'),
}
_BLOCK = re.compile(r'(blocks\.(\d+)\.(\d+)|block(\d+)|attn_block)(?:\.(.*))?')
_THETA = ('theta', 'conv1x1_theta')
# Blocks of a generator of mimicry -> the block before attention. Discriminators
# have attention after the second block.
_ATTENTION = {3: 2, 5: 3}


class Layer(NamedTuple):
  """A module of the codebase with tensors of its own.

  Attributes:
    name: our name, '' for a block itself.
    inner: rest of its path, as 'gain'.
    tensors: its tensors by name.
  """

  name: str
  inner: str
  tensors: dict[str, np.ndarray]

  @property
  def weight(self) -> np.ndarray | None:
    return self.tensors.get('weight_orig', self.tensors.get('weight'))

  @property
  def is_norm(self) -> bool:
    return 'ConditionalBatchNorm' in self.name


def find_blocks(names, player: str) -> tuple[dict[str, str], list[int]]:
  """Returns our name of every block, and the blocks with attention."""
  prefixes = {}
  for name in names:
    if match := _BLOCK.fullmatch(name):
      layer = (match[5] or '').partition('.')[0]
      prefixes.setdefault(match[1], []).append(layer)
  order = lambda prefix: [int(n) for n in re.findall(r'\d+', prefix)] or [10**9]
  ours, attention, count = {}, [], 0
  for prefix in sorted(prefixes, key=order):
    if set(_THETA) & set(prefixes[prefix]):
      ours[prefix] = f'SelfAttention_{len(attention)}'
      attention.append(count)
    else:
      ours[prefix] = f'{player.title()}Block_{count}'
      count += 1
  if 'attn_block' in ours:
    is_generator = player == 'generator'
    attention = [_ATTENTION.get(count, 2) if is_generator else 2]
  return ours, attention


def find_layers(tensors, player: str, blocks) -> list[Layer]:
  """Returns all modules with tensors.

  Args:
    tensors: a state dict.
    player: 'generator' or 'discriminator'.
    blocks: names of the blocks, see `find_blocks`.

  Raises:
    ValueError: names an unknown module.
  """
  outer = _GENERATOR if player == 'generator' else _DISCRIMINATOR
  modules = {}
  for name, tensor in tensors.items():
    module, _, leaf = name.rpartition('.')
    modules.setdefault(module, {})[leaf] = tensor
  found = []
  for module, own in modules.items():
    if match := _BLOCK.fullmatch(module):
      layer, _, inner = (match[5] or '').partition('.')
      known = not layer or layer in _LAYERS
      parts = [blocks[match[1]], _LAYERS.get(layer, '')]
      ours = '/'.join(part for part in parts if part)
    else:
      layer, inner = module, ''
      if module.endswith('.bn'):  # ajbrock's norm of several devices
        layer, inner = module.removesuffix('.bn'), 'bn'
      numbered = re.sub(r'^([bcl])[5-7]$', r'\1N', layer)
      known, ours = numbered in outer, outer.get(numbered, '')
    if not known:
      raise ValueError(f'{module} is unknown')
    found.append(Layer(ours, inner, own))
  return found


def _first(x: np.ndarray, pixels: int) -> np.ndarray:
  """Changes [C * pixels, ...] of a dense layer to [..., pixels * C]."""
  x = x.reshape(-1, pixels, *x.shape[1:])
  x = np.moveaxis(x, (0, 1), (-1, -2))
  return x.reshape(*x.shape[:-2], -1)


def _kernel(x: np.ndarray) -> np.ndarray:
  return x.transpose(2, 3, 1, 0) if x.ndim == 4 else x.T


def _vectors(layer: Layer, kernel, pixels: int) -> dict[str, np.ndarray]:
  """Returns u and v of spectral norm by name; {} without spectral norm.

  ajbrock's norm, and that of mimicry's own, iterate once more before each use.
  """
  own = layer.tensors
  u = [own[name] for name in ('weight_u', 'u0', 'sn_u') if name in own]
  if not u:
    return {}
  u = u[0].reshape(-1)
  u = _first(u, pixels) if pixels else u
  v = own.get('weight_v')
  if v is None:
    return iterate(kernel, u)
  if layer.weight.ndim == 4:
    v = v.reshape(layer.weight.shape[1:]).transpose(1, 2, 0).reshape(-1)
  return {'u': u, 'v': v}


def _statistics(layer: Layer) -> dict[str, np.ndarray]:
  """Returns running statistics; sums of ajbrock's are divided by the count."""
  own = layer.tensors
  count = own.get('accumulation_counter', np.zeros(1)).reshape(-1)[0] or 1.0
  return {
    f'batch_stats/{layer.name}/BatchNorm_0/{ours}': own[f'{kind}_{ours}']
    / count
    for kind in ('running', 'stored')
    for ours in ('mean', 'var')
    if f'{kind}_{ours}' in own
  }


def arrays_of(layer: Layer, pixels: int, is_table: bool, is_embedding: bool):
  """Returns the variables of a module.

  Args:
    layer: the module.
    pixels: size of the small image, for its layer; 0 for other layers.
    is_table: True for labels of norms as tables, False for kernels.
    is_embedding: True for labels of norms [classes, C], False for [C, classes].
  """
  name, inner, own, weight = *layer, layer.weight
  params, vectors = {}, {}
  for leaf in ('gamma', 'sigma'):
    if leaf in own:
      params['gain'] = own[leaf].reshape(())
  if layer.is_norm and inner in ('gain', 'bias'):
    part = {'gain': 'scale'}.get(inner, inner)
    kernel = weight if is_embedding else weight.T
    params[f'{part}/{"table" if is_table else "kernel"}'] = kernel
    vectors = {part: _vectors(layer, kernel, 0)}
  elif layer.is_norm and inner == 'embed':
    scale, bias = np.split(weight, 2, axis=1)
    params |= {'scale/table': scale - 1.0, 'bias/table': bias}
  elif layer.is_norm:
    scale = own.get('gain', weight)
    if scale is not None:
      params |= {'BatchNorm_0/scale': scale, 'BatchNorm_0/bias': own['bias']}
  elif name == 'labels':
    params['table'] = weight
  elif weight is not None:
    params['kernel'] = _first(weight, pixels) if pixels else _kernel(weight)
    vectors = {'': _vectors(layer, params['kernel'], pixels)}
    if 'bias' in own:
      params['bias'] = _first(own['bias'], pixels) if pixels else own['bias']
  arrays = {f'params/{name}/{key}': array for key, array in params.items()}
  for part, pair in vectors.items():
    place = '/'.join(n for n in ('spectral', name, part, 'kernel') if n)
    arrays |= {f'{place}/{key}': vector for key, vector in pair.items()}
  return arrays | _statistics(layer)
