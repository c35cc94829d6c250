"""StyleGAN2: pickles of NVIDIA's codebases of StyleGAN2-ADA and StyleGAN3.

  NVlabs/stylegan2-ada-pytorch   `training/networks.py`
  NVlabs/stylegan3               `training/networks_stylegan2.py`

A snapshot is a dictionary of the modules G, D and G_ema, whose source code is
in the file and is not read. Channels follow from shapes; limits, groups and
architectures are attributes of the modules.
"""

import re

import numpy as np

from jaxgan.core.pickles import Instance
from jaxgan.modes.weights import modules
from jaxgan.modes.weights.network import Network

SOURCE = 'StyleGAN2'
# Layers of a block -> ours; {} is the number of the stage.
_LAYERS = {
  'generator': {
    'conv0': 'synthesis/up_{}',
    'conv1': 'synthesis/conv_{}',
    'skip': 'synthesis/skip_{}',
    'torgb': 'synthesis/image_{}',
    'mapping': 'mapping',
  },
  'discriminator': {
    'fromrgb': 'image',
    'conv0': 'conv_{}',
    'conv1': 'down_{}',
    'skip': 'skip_{}',
    'conv': 'last',
    'fc': 'hidden',
    'out': 'logits',
    'mapping': 'labels',
  },
}
_LEAVES = {
  'weight': 'params/{}/kernel',
  'bias': 'params/{}/bias',
  'noise_strength': 'params/{}/strength',
  'noise_const': 'noise/{}/value',
}
_ARCHITECTURES = {'resnet': 'residual', 'skip': 'skip', 'orig': 'orig'}
_FILTER = np.array([1.0, 3.0, 3.0, 1.0]) / 8.0


def is_network(module: Instance) -> bool:
  """Returns True for a generator or discriminator with source code."""
  return module.name in ('Generator', 'Discriminator')


def _name(player: str, path: str, side: int) -> str:
  """Returns our path of a parameter or buffer."""
  *parts, leaf = path.removeprefix('synthesis.').split('.')
  if leaf == 'w_avg':
    return 'averages/w'
  if leaf == 'const':
    return 'params/synthesis/start'
  layers = _LAYERS[player]
  if parts[0] == 'mapping':
    layer = re.sub(r'^fc(?=\d)', 'Linear_', parts[1])
    layer = f'{layers["mapping"]}/{"labels" if layer == "embed" else layer}'
  else:
    block = int(parts[0].removeprefix('b'))
    stage = (block if player == 'generator' else 4 * side // block) // 4
    layer = layers[parts[1]].format(stage.bit_length() - 1)
    if parts[-1] == 'affine':
      layer += '/style'
  return _LEAVES[leaf].format(layer)


def _array(path: str, x: np.ndarray) -> np.ndarray:
  """Returns a parameter or buffer in our layout."""
  if path == 'b4.fc.weight':  # channels before pixels
    x = x.reshape(len(x), -1, 4, 4).transpose(2, 3, 1, 0)
    return x.reshape(-1, x.shape[-1])
  if path.endswith('noise_const'):
    return x[..., None]
  axes = {4: (2, 3, 1, 0), 3: (1, 2, 0), 2: (1, 0)}.get(x.ndim)
  return x if axes is None else x.transpose(axes)


def _attributes(parts: dict[str, Instance], name: str) -> set:
  """Returns the values of an attribute of any module that has it."""
  return {
    value
    for value in (modules.state(part).get(name) for part in parts.values())
    if isinstance(value, (int, float, str))
  }


def _one(parts, name: str, default):
  values = _attributes(parts, name) or {default}
  if len(values) > 1:
    raise ValueError(f'modules differ in {name}: {sorted(map(str, values))}')
  return values.pop()


def convert(path: str, module: Instance, is_averaged: bool) -> Network:
  """Returns the network of a module.

  Args:
    path: the file.
    module: a generator or a discriminator.
    is_averaged: True for averaged weights.

  Raises:
    Exception: any type of error, for modules of another form.
  """
  parts = dict(modules.walk(module))
  player = module.name.lower()
  top = modules.state(module)
  side, classes = int(top['img_resolution']), int(top['c_dim'])
  tensors = modules.tensors(module)
  for name in [n for n in tensors if n.endswith('resample_filter')]:
    if not np.allclose(tensors.pop(name), np.outer(_FILTER, _FILTER)):
      raise ValueError(f'{name} is another filter than (1, 3, 3, 1)')
  if activations := _attributes(parts, 'activation') - {'lrelu', 'linear'}:
    raise ValueError(f'activations {sorted(activations)}')
  arrays = {
    _name(player, name, side): _array(name, np.asarray(x))
    for name, x in tensors.items()
  }
  blocks = 'synthesis.b' if player == 'generator' else 'b'
  sides = [2**k for k in range(2, side.bit_length())]
  if sides[-1:] != [side]:
    raise ValueError(f'img_resolution={side}')
  architecture = _one(parts, 'architecture', 'orig')
  count = sum(
    re.fullmatch(r'mapping\.fc\d+', name) is not None for name in parts
  )
  if player == 'generator':
    widths = tuple(len(tensors[f'{blocks}{s}.conv1.weight']) for s in sides)
    fields = dict(style_size=int(top['w_dim']))
    if _attributes(parts, 'use_noise') - {True}:
      raise ValueError('layers without noise')
  else:
    widths = tuple(
      len(tensors[f'{blocks}{s}.conv0.weight']) for s in sides[:0:-1]
    )
    widths += (len(tensors['b4.conv.weight']),)
    fields = _deviation(parts)
  fields |= dict(
    name=f'stylegan2.{module.name}',
    widths=widths,
    architecture=_ARCHITECTURES[architecture],
    clamp=float(_one(parts, 'conv_clamp', 0.0)),
  )
  if count:
    fields |= dict(mapping_layers=count, multiplier=_multiplier(parts))
  return Network(
    path,
    SOURCE,
    player,
    fields,
    arrays,
    classes=classes,
    latents=int(top.get('z_dim', 0)),
    shape=(side, side, int(top['img_channels'])),
    is_averaged=is_averaged,
  )


def _multiplier(parts: dict[str, Instance]) -> float:
  """Returns the factor of the learning rate: the gain of biases."""
  gain = modules.state(parts['mapping.fc0'])['bias_gain']
  return float(gain)


def _deviation(parts: dict[str, Instance]) -> dict[str, int]:
  """Returns the size of groups of the minibatch deviation."""
  if 'b4.mbstd' not in parts:
    return {'group': 0}
  state = modules.state(parts['b4.mbstd'])
  if state['num_channels'] != 1 or not state['group_size']:
    raise ValueError('a minibatch deviation of several channels, or of all')
  return {'group': int(state['group_size'])}
