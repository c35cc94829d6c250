"""R3GAN: pickles of brownvc/R3GAN, `R3GAN/Networks.py`.

A snapshot is a dictionary of the modules G, D and G_ema. Widths and blocks
follow from shapes; groups of convolutions and filters are in the modules.
"""

import re

import numpy as np

from jaxgan.core.pickles import Instance
from jaxgan.modes.weights import modules
from jaxgan.modes.weights.network import Network

SOURCE = 'R3GAN'
_KINDS = (
  *('Generator', 'Discriminator', 'GeneratorStage', 'DiscriminatorStage'),
  *('GenerativeBasis', 'DiscriminativeBasis', 'ResidualBlock', 'Convolution'),
  *('UpsampleLayer', 'DownsampleLayer'),
)
# Classes that a snapshot names.
NAMES = (
  *(f'R3GAN.Networks.{kind}' for kind in _KINDS),
  *(f'training.networks.{kind}' for kind in _KINDS[:2]),
  *(
    f'R3GAN.Resamplers.Interpolative{kind}sampler{form}'
    for kind in ('Up', 'Down')
    for form in ('CUDA', 'Reference')
  ),
  *(
    f'R3GAN.FusedOperators.BiasedActivation{form}'
    for form in ('CUDA', 'Reference')
  ),
  'torch.nn.modules.conv.Conv2d',
  'torch.nn.modules.linear.Linear',
  'torch.nn.modules.container.ModuleList',
)
_BLOCK = r'MainLayers\.(\d+)\.Layers\.(\d+)\.'
# Parameter of a block -> its name in ours.
_OF_BLOCK = {
  'LinearLayer1.Layer.weight': 'Dense_0/kernel',
  'NonLinearity1.Bias': 'Dense_0/bias',
  'LinearLayer2.Layer.weight': 'GroupedConv_0/kernel',
  'NonLinearity2.Bias': 'GroupedConv_0/bias',
  'LinearLayer3.Layer.weight': 'Dense_1/kernel',
}
_OUTER = {
  'AggregationLayer.Layer.weight': 'image/kernel',
  'ExtractionLayer.Layer.weight': 'image/kernel',
  'EmbeddingLayer.weight': 'labels/kernel',
}
_GROUPED = 'LinearLayer2.Layer'


def _ours(x: np.ndarray) -> np.ndarray:
  """Changes a product to our layout, [in, out]; vectors stay as they are."""
  return x[:, :, 0, 0].T if x.ndim == 4 else x.T


def _of_block(own) -> dict[str, np.ndarray]:
  """Returns the parameters of a residual block by our names."""
  found = {}
  for theirs, ours in _OF_BLOCK.items():
    is_grouped = ours == 'GroupedConv_0/kernel'
    x = own[theirs]
    found[ours] = x.transpose(2, 3, 1, 0) if is_grouped else _ours(x)
  return found


def _order(match: re.Match) -> tuple[int, int]:
  return int(match[1]), int(match[2])


def convert(path: str, module: Instance, is_averaged: bool) -> Network:
  """Returns the network of a module.

  Args:
    path: the file.
    module: `training.networks.Generator` or `Discriminator`, or their Model.
    is_averaged: True for averaged weights.

  Raises:
    Exception: any type of error, for modules of another form.
  """
  inner = modules.state(module)['_modules']
  module = inner.get('Model', module)
  tensors = {
    name: x
    for name, x in modules.tensors(module).items()
    if not name.endswith('.Resampler.Kernel')
  }
  player = (
    'generator'
    if 'AggregationLayer.Layer.weight' in tensors
    else ('discriminator')
  )
  parts = sorted(
    {m.group(): m for n in tensors if (m := re.match(_BLOCK, n))}.values(),
    key=_order,
  )
  arrays, stages = {}, []
  blocks = dense = 0
  for match in parts:
    prefix, (stage, _) = match.group(), _order(match)
    own = {
      name.removeprefix(prefix): x
      for name, x in tensors.items()
      if name.startswith(prefix)
    }
    if stage == len(stages):
      stages.append({'blocks': 0})
    if own.keys() == _OF_BLOCK.keys():
      for name, x in _of_block(own).items():
        arrays[f'Block_{blocks}/{name}'] = x
      blocks += 1
      stages[stage]['blocks'] += 1
      stages[stage] |= _sizes(own, module, prefix)
    elif 'Basis' in own:
      arrays['basis'] = own['Basis'].transpose(1, 2, 0)
      arrays['latents/kernel'] = own['LinearLayer.weight'].T
    elif 'Basis.weight' in own:
      arrays['basis'] = own['Basis.weight'][:, 0].transpose(1, 2, 0)
      arrays['logits/kernel'] = own['LinearLayer.weight'].T
    else:
      arrays[f'Dense_{dense}/kernel'] = _ours(own['LinearLayer.Layer.weight'])
      dense += 1
  for theirs, ours in _OUTER.items():
    if theirs in tensors:
      arrays[ours] = _ours(tensors[theirs])
  return _network(path, player, arrays, stages, module, is_averaged)


def _sizes(own, module: Instance, prefix: str) -> dict[str, int]:
  """Returns sizes of a residual block."""
  grouped = dict(modules.walk(module))[prefix + _GROUPED]
  narrow, wide = own['LinearLayer3.Layer.weight'].shape[:2]
  return dict(
    widths=narrow,
    cardinality=int(modules.state(grouped)['groups']),
    expansion=wide // narrow,
    kernel=own['LinearLayer2.Layer.weight'].shape[-1],
  )


def _filter(module: Instance) -> tuple[float, ...]:
  """Returns the filter whose convolution with (1, 1) a module has.

  Outer products of that convolution, with a sum of one, are its kernels.
  """
  for name, x in modules.tensors(module).items():
    if name.endswith('.Resampler.Kernel'):
      row = np.asarray(x, np.float64).sum(axis=0)
      weights = [row[0]]
      for tap in row[1:-1]:
        weights.append(tap - weights[-1])
      weights = np.array(weights) / weights[0]
      return tuple(float(w) for w in np.round(weights, 4))
  return (1.0, 2.0, 1.0)


def _network(path, player, arrays, stages, module, is_averaged) -> Network:
  shared = {name: {s[name] for s in stages} for name in ('expansion', 'kernel')}
  if any(len(values) > 1 for values in shared.values()):
    raise ValueError('stages differ in expansion or kernel')
  labels = arrays.get('labels/kernel')
  fields = dict(
    name=f'r3gan.{player.title()}',
    resampling=_filter(module),
    **{name: values.pop() for name, values in shared.items()},
    **{
      name: tuple(stage[name] for stage in stages)
      for name in ('widths', 'blocks', 'cardinality')
    },
  )
  if labels is not None:
    fields['embedding'] = labels.shape[1]
  sizes = {}
  if player == 'generator':
    side = arrays['basis'].shape[0] * 2 ** (len(stages) - 1)
    latents = arrays['latents/kernel'].shape[0]
    sizes = dict(
      latents=latents - (0 if labels is None else labels.shape[1]),
      shape=(side, side, arrays['image/kernel'].shape[1]),
    )
  return Network(
    path,
    SOURCE,
    player,
    fields,
    {f'params/{name}': array for name, array in arrays.items()},
    classes=0 if labels is None else len(labels),
    is_averaged=is_averaged,
    **sizes,
  )
