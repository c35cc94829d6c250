"""Makes the golden arrays of StyleGAN2 from the reference.

  python -m tests.golden.make_stylegan2 FOLDER

FOLDER is a clone of NVlabs/stylegan2-ada-pytorch. PyTorch, NumPy, Pillow,
SciPy, requests and click are required. Every case becomes a file
`stylegan2_CASE.npz` beside this script.

Each network runs in float64 with fixed noise, on inputs and weights of `weight`
and `value`. Names of arrays are those of parameters in
`jaxgan.models.stylegan2`. Long arrays are thinned by `thin`. The penalty of
path lengths is that of the reference's own loss, with a fixed draw.

Gradients jump where the input of an activation is zero, or at its limit. So
`most_stable` draws the inputs among many.
"""

import importlib
import math
import pathlib
import re
import sys
import types
from typing import NamedTuple

import numpy as np

from tests.golden.make_residual import BATCH, CLASSES, LABELS, thin, value

FOLDER = pathlib.Path(__file__).parent
PARAMS = 100  # most entries of a gradient with respect to a parameter
PATH_MEAN = 0.3  # mean path length before the penalty
PSI = 0.6  # of the truncated images
MULTIPLIER = 0.01


class Case(NamedTuple):
  """Narrow networks.

  Attributes:
    side: pixels of a side.
    latents: size of the latents.
    conditional: True for labels.
    base: channels of the reference times pixels of a side.
    most: most channels of a stage.
    mapping: layers of the mapping networks.
    generator: further fields of `stylegan2.Generator`.
    discriminator: further fields of `stylegan2.Discriminator`.
  """

  side: int
  latents: int
  conditional: bool
  base: int
  most: int
  mapping: int
  generator: dict
  discriminator: dict

  @property
  def widths(self) -> tuple[int, ...]:
    """Channels of every stage, the smallest images first."""
    sides = [2**k for k in range(2, self.side.bit_length())]
    return tuple(min(self.base // side, self.most) for side in sides)


CASES = {
  '32': Case(
    *(32, 6, False, 256, 12, 2),
    dict(style_size=8),
    dict(architecture='orig', group=4),
  ),
  '32_conditional': Case(
    *(32, 6, True, 128, 8, 3),
    dict(style_size=10, clamp=1.2),
    dict(group=2, clamp=1.2),
  ),
  '64_residual': Case(
    *(64, 6, False, 256, 8, 8),
    dict(style_size=8, architecture='residual', fused=True),
    dict(group=4),
  ),
}
OURS = {'residual': 'resnet', 'orig': 'orig', 'skip': 'skip'}


def weight(name: str, shape) -> np.ndarray:
  """Returns the parameter of a name, from `value`.

  Deviations are near those of fresh networks. Layers of mapping networks are
  divided by `MULTIPLIER`, and the strengths of noise are not zero.
  """
  x = value(f'{name} value', shape)
  owner, _, kind = name.rpartition('/')
  is_slow = re.search(r'(mapping|labels)/Linear_', name)
  scale = 1.0 / MULTIPLIER if is_slow else 1.0
  if kind == 'kernel':
    return math.sqrt(2.0) * scale * x
  if kind == 'bias':
    return 1.0 + 0.1 * x if owner.endswith('style') else 0.1 * scale * x
  return {'strength': 0.2 + 0.1 * x, 'w': 0.3 * x}.get(kind, x)


class Entry(NamedTuple):
  """One of our arrays and its place in the reference.

  Attributes:
    name: our name.
    tensor: parameter or buffer of the reference.
    split: shape of the parameter with all axes apart.
    axes: transpose `split` to the order of our axes.
    shape: our shape.
  """

  name: str
  tensor: object
  split: tuple[int, ...]
  axes: tuple[int, ...]
  shape: tuple[int, ...]

  def to_ours(self, x) -> np.ndarray:
    x = np.asarray(x).reshape(self.split)
    return x.transpose(self.axes).reshape(self.shape)

  def to_theirs(self, x) -> np.ndarray:
    x = x.reshape([self.split[axis] for axis in self.axes])
    return x.transpose(np.argsort(self.axes)).reshape(self.tensor.shape)


# Names of layers in the reference -> in ours; {} is the number of the stage.
LAYERS = {
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
LEAVES = {
  'weight': 'kernel',
  'bias': 'bias',
  'noise_strength': 'strength',
  'noise_const': 'value',
  'w_avg': 'w',
}


def _name(player: str, path: str, side: int) -> str:
  """Returns our name of a parameter of the reference."""
  *parts, leaf = path.removeprefix('synthesis.').split('.')
  if leaf == 'w_avg':
    return 'w'
  if leaf == 'const':
    return 'synthesis/start'
  leaf = LEAVES[leaf]
  if parts[0] == 'mapping':
    layer = parts[1].replace('fc', 'Linear_').replace('embed', 'labels')
    return f'{LAYERS[player]["mapping"]}/{layer}/{leaf}'
  block = int(parts[0].removeprefix('b'))
  stage = (block if player == 'generator' else 4 * side // block) // 4
  layer = LAYERS[player][parts[1]].format(stage.bit_length() - 1)
  inner = 'style/' if parts[-1] == 'affine' else ''
  return f'{layer}/{inner}{leaf}'


def entries(player: str, network, side: int) -> list[Entry]:
  """Returns all parameters of a reference, its noise, and its mean of w."""
  found = []
  buffers = [b for b in network.named_buffers() if 'filter' not in b[0]]
  for path, tensor in (*network.named_parameters(), *buffers):
    name, split = _name(player, path, side), tuple(tensor.shape)
    if path == 'b4.fc.weight':  # The reference has channels before pixels.
      split = (split[0], split[1] // 16, 4, 4)
      axes = (2, 3, 1, 0)
      shape = (tensor.shape[1], split[0])
    elif path.endswith('noise_const'):
      axes, shape = (0, 1), (*split, 1)
    else:
      axes = {4: (2, 3, 1, 0), 3: (1, 2, 0), 2: (1, 0)}.get(len(split))
      axes = tuple(range(len(split))) if axes is None else axes
      shape = tuple(split[axis] for axis in axes)
    found.append(Entry(name, tensor, split, axes, shape))
  return found


def _thinned(found: list[Entry], grads) -> dict[str, np.ndarray]:
  """Returns thinned gradients by our names."""
  return {
    entry.name: thin(entry.to_ours(gradient), PARAMS)
    for entry, gradient in zip(found, grads, strict=True)
    if gradient is not None and gradient.any()
  }


def most_stable(bias_act, name: str, shape, output, draws: int = 64) -> int:
  """Returns the draw whose activations are the farthest from their kinks.

  Args:
    bias_act: module of the reference with the activations.
    name: name of the inputs; draw i is `value(f'{name} {i}', shape)`.
    shape: shape of the inputs.
    output: function of the inputs.
    draws: number of draws.
  """
  import torch

  nearest, plain = np.ones(draws), bias_act.bias_act

  def watched(x, b=None, clamp=None, **fields):
    y = plain(x, b, **fields)
    distances = [y.abs()] if fields.get('act') == 'lrelu' else []
    distances += [] if clamp is None else [(y.abs() - clamp).abs()]
    for size in distances:
      least = float(size.min() / y.abs().mean())
      nearest[draw] = min(nearest[draw], least)
    return plain(x, b, clamp=clamp, **fields)

  bias_act.bias_act = watched
  for draw in range(draws):
    with torch.no_grad():
      output(torch.from_numpy(value(f'{name} {draw}', shape)))
  bias_act.bias_act = plain
  best = int(nearest.argmax())
  print(f'  draw {best}: nearest activation {nearest[best]:.0e} of the mean')
  return best


def _reference():
  """Returns the modules of the reference, changed to compute in float64."""
  import torch

  modules = types.SimpleNamespace(
    networks=importlib.import_module('training.networks'),
    loss=importlib.import_module('training.loss'),
    bias_act=importlib.import_module('torch_utils.ops.bias_act'),
  )

  class Wide:
    """PyTorch whose `float32` is of 64 bits."""

    float32 = torch.float64

    def __getattr__(self, name):
      return getattr(torch, name)

  modules.networks.torch = Wide()
  return modules


def _prepare(player: str, network, side: int) -> list[Entry]:
  """Fills a network with `weight` in float64, and returns its arrays."""
  import torch

  network.double()
  for module in network.modules():  # The reference wants filters of 32 bits.
    if hasattr(module, 'resample_filter'):
      module.resample_filter = module.resample_filter.float()
  found = entries(player, network, side)
  for entry in found:
    new = entry.to_theirs(weight(entry.name, entry.shape))
    entry.tensor.data.copy_(torch.from_numpy(np.array(new)))
  return [entry for entry in found if entry.tensor.requires_grad]


def record(modules, player: str, network, found, size, output):
  """Returns the golden arrays of a network by name, and its inputs.

  Args:
    modules: result of `_reference`.
    player: 'generator' or 'discriminator'.
    network: a network of the reference.
    found: parameters of the network.
    size: shape of an input.
    output: function of the inputs.
  """
  import torch

  shape = (BATCH, *size)
  draw = most_stable(modules.bias_act, player, shape, output)
  x = torch.from_numpy(value(f'{player} {draw}', shape)).requires_grad_()
  y = output(x)
  loss = (y * torch.from_numpy(value('probe', y.shape))).sum()
  (slope,) = torch.autograd.grad(loss, x, create_graph=True)
  arrays = {'output': y, 'gradient': slope}
  arrays = {k: thin(a.detach().numpy()) for k, a in arrays.items()}
  tensors = [entry.tensor for entry in found]
  grads = torch.autograd.grad(loss, tensors, retain_graph=True)
  for name, gradient in _thinned(found, grads).items():
    arrays[f'params {name}'] = gradient
  if player == 'discriminator':  # Second derivatives, as of R1.
    kernels = [entry for entry in found if entry.name.endswith('kernel')]
    tensors = [entry.tensor for entry in kernels]
    grads = torch.autograd.grad(
      slope.square().sum(), tensors, allow_unused=True
    )
    for name, gradient in _thinned(kernels, grads).items():
      arrays[f'second {name}'] = gradient
  arrays['draw'] = np.int32(draw)
  return arrays, x.detach()


def styles_and_paths(modules, network, found, z, c) -> dict[str, np.ndarray]:
  """Returns w, truncated images, the mean of w, and the path length penalty."""
  import torch

  class Synthesis(torch.nn.Module):
    """The synthesis with fixed noise."""

    def forward(self, ws):
      return network.synthesis(ws, noise_mode='const')

  class Fixed:
    """PyTorch whose random numbers are those of `value`."""

    def __getattr__(self, name):
      return getattr(torch, name)

    def randn_like(self, x):
      draw = value('path', (x.shape[0], *x.shape[2:], x.shape[1]))
      return torch.from_numpy(draw).permute(0, 3, 1, 2)

  average, mapping = network.mapping.w_avg.clone(), network.mapping
  ws = mapping(z, c, skip_w_avg_update=True)
  truncated = mapping(z, c, truncation_psi=PSI, skip_w_avg_update=True)
  truncated = network.synthesis(truncated, noise_mode='const')
  arrays = {
    'w': ws[:, 0].detach().numpy(),
    'truncated': thin(truncated.detach().permute(0, 2, 3, 1).numpy()),
  }
  modules.loss.torch = Fixed()
  synthesis = Synthesis()
  loss = modules.loss.StyleGAN2Loss(
    *('cpu', mapping, synthesis, None), style_mixing_prob=0, pl_weight=1
  )
  loss.pl_mean = torch.tensor(PATH_MEAN, dtype=torch.float64)
  network.zero_grad()
  loss.accumulate_gradients('Greg', None, None, z, c, sync=True, gain=1)
  half = slice(BATCH // 2)
  ws = mapping(z[half], c[half], skip_w_avg_update=True)
  images = synthesis(ws)
  draw = modules.loss.torch.randn_like(images) / math.sqrt(images[0, 0].numel())
  (slopes,) = torch.autograd.grad((images * draw).sum(), ws)
  arrays['lengths'] = slopes.square().sum(2).mean(1).sqrt().numpy()
  arrays['path_mean'] = loss.pl_mean.numpy()
  grads = [entry.tensor.grad for entry in found]
  for name, gradient in _thinned(found, grads).items():
    arrays[f'path {name}'] = gradient
  mapping.w_avg.copy_(average)
  mapping.train()(z, c)
  arrays['average'] = mapping.w_avg.numpy()
  return arrays


def arrays_of(case: Case) -> dict[str, np.ndarray]:
  """Returns the golden arrays of a case by name."""
  import torch

  modules = _reference()
  classes = CLASSES if case.conditional else 0
  c = torch.eye(CLASSES, dtype=torch.float64)[list(LABELS)]
  c = c if case.conditional else torch.zeros((BATCH, 0))
  common = dict(c_dim=classes, img_resolution=case.side, img_channels=3)
  mapping = dict(num_layers=case.mapping)
  widths = dict(channel_base=case.base, channel_max=case.most)

  def fields(ours):
    architecture = ours.get('architecture')
    found = dict(conv_clamp=ours.get('clamp'))
    return found | (
      dict(architecture=OURS[architecture]) if architecture else {}
    )

  generator = modules.networks.Generator(
    z_dim=case.latents,
    w_dim=case.generator['style_size'],
    mapping_kwargs=mapping,
    synthesis_kwargs=widths | fields(case.generator),
    **common,
  )
  # The reference scales kernels if it evaluates, and activations in training.
  generator.train(not case.generator.get('fused', False))
  discriminator = modules.networks.Discriminator(
    mapping_kwargs=mapping,
    epilogue_kwargs=dict(mbstd_group_size=case.discriminator['group']),
    **widths,
    **fields(case.discriminator),
    **common,
  )

  def image(z):
    ws = generator.mapping(z, c, skip_w_avg_update=True)
    return generator.synthesis(ws, noise_mode='const').permute(0, 2, 3, 1)

  def logits(x):
    return discriminator(x.permute(0, 3, 1, 2).contiguous(), c)[:, 0]

  found = _prepare('generator', generator, case.side)
  arrays, z = record(
    modules, 'generator', generator, found, (case.latents,), image
  )
  arrays |= styles_and_paths(modules, generator, found, z, c)
  found = _prepare('discriminator', discriminator, case.side)
  size = (case.side, case.side, 3)
  others, _ = record(
    modules, 'discriminator', discriminator, found, size, logits
  )
  both = {'generator': arrays, 'discriminator': others}
  return {
    f'{player} {key}': array
    for player, own in both.items()
    for key, array in own.items()
  }


def main(folder: str) -> None:
  """Writes the arrays of all cases."""
  sys.path.insert(0, folder)
  for name, case in CASES.items():
    path = FOLDER / f'stylegan2_{name}.npz'
    arrays = {
      key: array if array.dtype == np.int32 else array.astype('f')
      for key, array in arrays_of(case).items()
    }
    np.savez_compressed(path, **arrays)
    print(path.name, path.stat().st_size, 'bytes')


if __name__ == '__main__':
  main(sys.argv[1])
