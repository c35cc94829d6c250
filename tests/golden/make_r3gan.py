"""Makes the golden arrays of R3GAN from the reference.

  python -m tests.golden.make_r3gan FOLDER

FOLDER is a clone of brownvc/R3GAN. PyTorch and NumPy are required, and nothing
else. Every case becomes a file `r3gan_CASE.npz` beside this script.

Each network runs in float64 on inputs and weights of `value`. So the last
kernels of blocks, which start at zero, count as well. Names of arrays are those
of parameters in `jaxgan.models.r3gan`. Long arrays are thinned by `thin`.

Gradients jump where the input of an activation is zero. So `most_stable` draws
the inputs among many.
"""

import importlib
import pathlib
import sys
import types
from typing import NamedTuple

import numpy as np

from tests.golden.make_residual import BATCH, CLASSES, LABELS, thin, value

FOLDER = pathlib.Path(__file__).parent
PARAMS = 150  # most entries of a gradient with respect to a parameter


class Case(NamedTuple):
  """Narrow networks.

  Attributes:
    side: pixels of a side.
    latents: size of the latents.
    conditional: True for labels.
    generator: fields of `r3gan.Generator` without its shape.
    discriminator: fields of `r3gan.Discriminator`.
  """

  side: int
  latents: int
  conditional: bool
  generator: dict
  discriminator: dict


_WIDE = dict(kernel=5, expansion=3, resampling=(1.0, 4.0, 6.0, 4.0, 1.0))
CASES = {
  '32': Case(
    *(32, 6, False),
    dict(widths=(16, 16, 8, 8), blocks=(1, 2, 1, 1), cardinality=(4, 4, 2, 2)),
    dict(widths=(8, 8, 16, 16), blocks=(1, 2, 1, 1), cardinality=(2, 2, 4, 4)),
  ),
  '64_conditional': Case(
    *(64, 6, True),
    dict(
      widths=(16, 16, 8, 8, 4),
      blocks=(1,) * 5,
      cardinality=(4, 4, 4, 2, 2),
      embedding=5,
    ),
    dict(
      widths=(4, 8, 8, 16, 16),
      blocks=(1,) * 5,
      cardinality=(2, 2, 4, 4, 4),
      embedding=7,
    ),
  ),
  'wide_filter_16': Case(
    *(16, 6, False),
    _WIDE | dict(widths=(8, 4, 4), blocks=(2, 1, 1), cardinality=(3, 3, 2)),
    _WIDE | dict(widths=(4, 8, 8), blocks=(1, 1, 2), cardinality=(2, 3, 4)),
  ),
}


class Entry(NamedTuple):
  """One of our arrays and its place in the reference.

  Attributes:
    name: our name.
    tensor: parameter of the reference.
    axes: transpose the parameter to our layout, with its axes of size one.
  """

  name: str
  tensor: object
  axes: tuple[int, ...]

  def to_ours(self, x) -> np.ndarray:
    x = np.asarray(x).transpose(self.axes)
    if self.name == 'basis':
      return x.reshape(x.shape[:3])
    is_product = x.shape[:2] == (1, 1)  # a convolution of 1 x 1
    return x[0, 0] if is_product else x

  def to_theirs(self, x) -> np.ndarray:
    shape = [self.tensor.shape[axis] for axis in self.axes]
    return x.reshape(shape).transpose(np.argsort(self.axes))


KERNEL, MATRIX, VECTOR = (2, 3, 1, 0), (1, 0), (0,)


def entries(network) -> list[Entry]:
  """Returns all parameters of a reference."""
  found, blocks, widths = [], 0, 0

  def add(name, tensor, axes):
    found.append(Entry(name, tensor, axes))

  for stage in network.MainLayers:
    for layer in stage.Layers:
      kind = type(layer).__name__
      if kind == 'ResidualBlock':
        name = f'Block_{blocks}'
        blocks += 1
        add(f'{name}/Dense_0/kernel', layer.LinearLayer1.Layer.weight, KERNEL)
        add(f'{name}/Dense_0/bias', layer.NonLinearity1.Bias, VECTOR)
        grouped = layer.LinearLayer2.Layer.weight
        add(f'{name}/GroupedConv_0/kernel', grouped, KERNEL)
        add(f'{name}/GroupedConv_0/bias', layer.NonLinearity2.Bias, VECTOR)
        add(f'{name}/Dense_1/kernel', layer.LinearLayer3.Layer.weight, KERNEL)
      elif kind == 'GenerativeBasis':
        add('basis', layer.Basis, (1, 2, 0))
        add('latents/kernel', layer.LinearLayer.weight, MATRIX)
      elif kind == 'DiscriminativeBasis':
        add('basis', layer.Basis.weight, (2, 3, 0, 1))
        add('logits/kernel', layer.LinearLayer.weight, MATRIX)
      elif hasattr(layer, 'LinearLayer'):
        weight = layer.LinearLayer.Layer.weight
        add(f'Dense_{widths}/kernel', weight, KERNEL)
        widths += 1
  for layer in ('AggregationLayer', 'ExtractionLayer'):
    if hasattr(network, layer):
      add('image/kernel', getattr(network, layer).Layer.weight, KERNEL)
  if hasattr(network, 'EmbeddingLayer'):
    add('labels/kernel', network.EmbeddingLayer.weight, MATRIX)
  return found


def _gradients(found: list[Entry], scalar) -> dict[str, np.ndarray]:
  """Returns thinned gradients of a scalar by our names."""
  import torch

  tensors = [entry.tensor for entry in found]
  grads = torch.autograd.grad(scalar, tensors, retain_graph=True)
  return {
    entry.name: thin(entry.to_ours(gradient), PARAMS)
    for entry, gradient in zip(found, grads, strict=True)
  }


def most_stable(network, name: str, shape, output, draws: int = 64) -> int:
  """Returns the draw whose activations are the farthest from zero.

  Args:
    network: a network of the reference.
    name: name of the inputs; draw i is `value(f'{name} {i}', shape)`.
    shape: shape of the inputs.
    output: function of the inputs.
    draws: number of draws.
  """
  import torch

  nearest = np.ones(draws)

  def watch(module, args):
    size = (args[0] + module.Bias.view(1, -1, 1, 1)).abs()
    least = float(size.min() / size.mean())
    nearest[draw] = min(nearest[draw], least)

  hooks = [
    module.register_forward_pre_hook(watch)
    for module in network.modules()
    if hasattr(module, 'Bias')
  ]
  for draw in range(draws):
    with torch.no_grad():
      output(torch.from_numpy(value(f'{name} {draw}', shape)))
  for hook in hooks:
    hook.remove()
  best = int(nearest.argmax())
  print(f'  draw {best}: nearest activation {nearest[best]:.0e} of the mean')
  return best


def record(player: str, network, size, output) -> dict[str, np.ndarray]:
  """Returns the golden arrays of a network by name.

  Args:
    player: 'generator' or 'discriminator'.
    network: a network of the reference.
    size: shape of an input.
    output: function of the inputs.
  """
  import torch

  network.double()
  for stage in network.MainLayers:
    stage.DataType = torch.float64
  found, shape = entries(network), (BATCH, *size)
  for entry in found:
    new = value(entry.name, entry.to_ours(entry.tensor.detach()).shape)
    new = torch.from_numpy(entry.to_theirs(new).copy())
    entry.tensor.data.copy_(new)
  draw = most_stable(network, player, shape, output)
  x = torch.from_numpy(value(f'{player} {draw}', shape)).requires_grad_()
  y = output(x)
  loss = (y * torch.from_numpy(value('probe', y.shape))).sum()
  (slope,) = torch.autograd.grad(loss, x, create_graph=True)
  arrays = {'output': y, 'gradient': slope}
  arrays = {k: thin(a.detach().numpy()) for k, a in arrays.items()}
  for name, gradient in _gradients(found, loss).items():
    arrays[f'params {name}'] = gradient
  if player == 'discriminator':  # Second derivatives, as of R1 and R2.
    kernels = [entry for entry in found if entry.name.endswith('kernel')]
    squared = slope.square().sum()
    for name, gradient in _gradients(kernels, squared).items():
      arrays[f'second {name}'] = gradient
  arrays['draw'] = np.int32(draw)
  return arrays


def _reference():
  """Returns the module of the networks, with its forms for CPUs."""
  for name in ('bias_act', 'upfirdn2d'):  # Their CUDA programs are not needed.
    sys.modules[f'torch_utils.ops.{name}'] = types.ModuleType(name)
  networks = importlib.import_module('R3GAN.Networks')
  for module in ('FusedOperators', 'Resamplers'):
    module = importlib.import_module(f'R3GAN.{module}')
    for name in vars(networks).keys() & vars(module).keys():
      reference = getattr(module, f'{name}Reference', None)
      if reference is not None:
        setattr(networks, name, reference)
  return networks


def arrays_of(case: Case) -> dict[str, np.ndarray]:
  """Returns the golden arrays of a case by name."""
  import torch

  networks = _reference()
  y = torch.eye(CLASSES, dtype=torch.float64)[list(LABELS)]
  y = (y,) if case.conditional else ()

  def build(kind, fields, **further):
    names = dict(
      widths='WidthPerStage',
      blocks='BlocksPerStage',
      cardinality='CardinalityPerStage',
      kernel='KernelSize',
      resampling='ResamplingFilter',
      embedding='ConditionEmbeddingDimension',
      expansion='ExpansionFactor',
    )
    fields = dict(expansion=2) | fields
    further |= {names[name]: entry for name, entry in fields.items()}
    labels = dict(ConditionDimension=CLASSES) if case.conditional else {}
    return getattr(networks, kind)(**further, **labels)

  generator = build('Generator', case.generator, NoiseDimension=case.latents)
  discriminator = build('Discriminator', case.discriminator)
  image = lambda z: generator(z, *y).permute(0, 2, 3, 1)
  logits = lambda x: discriminator(x.permute(0, 3, 1, 2).contiguous(), *y)
  side = (case.side, case.side, 3)
  return {
    f'{player} {key}': array
    for player, network, size, output in (
      ('generator', generator, (case.latents,), image),
      ('discriminator', discriminator, side, logits),
    )
    for key, array in record(player, network, size, output).items()
  }


def main(folder: str) -> None:
  """Writes the arrays of all cases."""
  sys.path.insert(0, folder)
  for name, case in CASES.items():
    path = FOLDER / f'r3gan_{name}.npz'
    arrays = {
      key: array if array.ndim == 0 else array.astype('f')
      for key, array in arrays_of(case).items()
    }
    np.savez_compressed(path, **arrays)
    print(path.name, path.stat().st_size, 'bytes')


if __name__ == '__main__':
  main(sys.argv[1])
