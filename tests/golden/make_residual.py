"""Makes the golden arrays of residual networks from a reference.

  python tests/golden/make_residual.py mimicry FOLDER
  python tests/golden/make_residual.py studiogan FOLDER
  python tests/golden/make_residual.py biggan FOLDER

FOLDER is a clone of kwotsin/mimicry, POSTECH-CVLab/PyTorch-StudioGAN or
ajbrock/BigGAN-PyTorch. PyTorch and NumPy are required, and nothing else. Every
case of the reference becomes a file `residual_CASE.npz` beside this script.

Each network runs once as in training, in float64, on inputs and weights of
`value`, then once as in evaluation. Names of arrays are those of parameters in
`jaxgan.models.resnet`. Long arrays are thinned by `thin`.

Two things differ from the reference. Its running variances are divided by
n - 1, and the arrays have them divided by n. The spectral norms of ajbrock and
of mimicry's own iterate in evaluation too, so those outputs are left out.

Gradients jump where the input of a ReLU is zero. So `most_stable` draws the
inputs among many.
"""

import contextlib
import importlib
import math
import pathlib
import sys
import types
import zlib
from typing import NamedTuple

import numpy as np

FOLDER = pathlib.Path(__file__).parent
BATCH, CLASSES = 4, 10
LABELS = (3, 0, 9, 3)


class Case(NamedTuple):
  """Narrow networks of one reference.

  Attributes:
    source: 'mimicry', 'studiogan' or 'biggan'.
    side: pixels of a side.
    latents: size of the latents.
    conditional: True for labels.
    generator: fields of `resnet.Generator` without its shape.
    discriminator: fields of `resnet.Discriminator`.
    spectral: True for spectral norm in the generator too.
    theirs: arguments of the reference.
  """

  source: str
  side: int
  latents: int
  conditional: bool
  generator: dict
  discriminator: dict
  spectral: bool
  theirs: dict


_MIMICRY = dict(upsampling='bilinear')
_STUDIO = dict(epsilon=1e-4)
_RECTIFIED = dict(rectified=True)
CASES = {
  'sngan_32': Case(
    *('mimicry', 32, 6, False),
    _MIMICRY | dict(widths=(8,) * 4),
    _RECTIFIED | dict(widths=(8,) * 4),
    False,
    dict(module='sngan.sngan_32', name='SNGAN{}32', width=8),
  ),
  'sngan_64': Case(
    *('mimicry', 64, 6, False),
    _MIMICRY | dict(widths=(32, 16, 8, 4, 2)),
    _RECTIFIED | dict(widths=(2, 4, 8, 16, 32), strides=(2,) * 5, wide=False),
    False,
    dict(module='sngan.sngan_64', name='SNGAN{}64', width=32),
  ),
  'sngan_128': Case(
    *('mimicry', 128, 6, False),
    _MIMICRY | dict(widths=(32, 32, 16, 8, 4, 2)),
    _RECTIFIED
    | dict(widths=(2, 4, 8, 16, 32, 32), strides=(2,) * 5 + (1,), wide=False),
    False,
    dict(module='sngan.sngan_128', name='SNGAN{}128', width=32),
  ),
  'cgan_pd_32': Case(
    *('mimicry', 32, 6, True),
    _MIMICRY | dict(widths=(8,) * 4),
    _RECTIFIED | dict(widths=(8,) * 4),
    False,
    dict(module='cgan_pd.cgan_pd_32', name='CGANPD{}32', width=8),
  ),
  'sagan_mimicry_32': Case(
    *('mimicry', 32, 6, True),
    _MIMICRY | dict(widths=(8,) * 4, attention=(2,)),
    _RECTIFIED | dict(widths=(8,) * 4, attention=(2,)),
    True,
    dict(module='sagan.sagan_32', name='SAGAN{}32', width=8),
  ),
  'projection_32': Case(
    *('studiogan', 32, 6, True),
    _STUDIO | dict(widths=(8,) * 4),
    _RECTIFIED | dict(widths=(8,) * 4),
    False,
    dict(module='resnet', widths=(2, 4)),
  ),
  'sagan_32': Case(
    *('studiogan', 32, 6, True),
    _STUDIO | dict(widths=(8,) * 4, attention=(2,), spectral_labels=True),
    _RECTIFIED | dict(widths=(8,) * 4, attention=(1,)),
    True,
    dict(module='resnet', widths=(2, 4), attention=((2,), (1,))),
  ),
  'biggan_32': Case(
    *('studiogan', 32, 8, True),
    _STUDIO
    | dict(widths=(8,) * 4, attention=(2,), hierarchical=True, embedding=5),
    _RECTIFIED | dict(widths=(8,) * 4, attention=(1,)),
    True,
    dict(module='big_resnet', widths=(2, 4), attention=((2,), (1,)), shared=5),
  ),
  'biggan_ajbrock_32': Case(
    *('biggan', 32, 6, True),
    dict(widths=(8,) * 4),
    dict(widths=(8,) * 4),
    True,
    dict(ch=2, attention='0', shared=0, hier=False),
  ),
  'biggan_ajbrock_64': Case(
    *('biggan', 64, 10, True),
    dict(
      widths=(32, 32, 16, 8, 4),
      attention=(1,),
      hierarchical=True,
      embedding=5,
    ),
    dict(widths=(2, 4, 8, 16, 32), strides=(2, 2, 2, 2, 1), attention=(3,)),
    True,
    dict(ch=2, attention='8', shared=5, hier=True),
  ),
}


def value(name: str, shape) -> np.ndarray:
  """Returns the array of a name: sin(p + i^2 / 10) for entry i, scaled.

  p is the CRC-32 of the name modulo 1,000. Kernels are divided by the root of
  half their inputs, biases by 10, and scales are 1 plus a tenth. Kernels of
  scales and biases of norms are multiplied by 0.3.
  """
  index = np.arange(math.prod(shape), dtype=np.float64)
  x = np.sin(zlib.crc32(name.encode()) % 1000 + 0.1 * index**2).reshape(shape)
  owner, _, kind = name.rpartition('/')
  if kind == 'table' or owner.rpartition('/')[2] in ('scale', 'bias'):
    return 0.3 * x
  if kind == 'kernel':
    return x / math.sqrt(math.prod(shape[:-1]) / 2)
  return {'bias': 0.1 * x, 'scale': 1.0 + 0.1 * x, 'gain': 0.5 + 0.1 * x}.get(
    kind, x
  )


def start_vector(name: str, size: int) -> np.ndarray:
  """Returns the first unit vector u of the spectral norm of a kernel."""
  u = value(f'spectral {name}', (size,))
  return u / np.linalg.norm(u)


def thin(x, most: int = 1000) -> np.ndarray:
  """Returns at most `most` entries of an array, at equal distances."""
  x = np.asarray(x).reshape(-1)
  return x[:: -(-x.size // most)]


# Names of layers in the references -> in ours.
LAYERS = {
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
# Outside of blocks; the last norm and convolution are numbered or in a list.
OUTER = {
  **dict.fromkeys(('l1', 'linear0', 'linear'), 'Dense_0'),
  **dict.fromkeys(('b5', 'b6', 'b7', 'bn4', 'output_layer.0'), 'norm'),
  **dict.fromkeys(('c5', 'c6', 'c7', 'conv2d5', 'output_layer.2'), 'Conv_0'),
  **dict.fromkeys(('l5', 'l6', 'l7', 'linear1'), 'Dense_0'),
  **dict.fromkeys(('l_y', 'embedding', 'embed'), 'Dense_1'),
  'shared': 'labels',
}
GENERATOR_BLOCKS = {'GBlock', 'GenBlock'}
DISCRIMINATOR_BLOCKS = {
  'DBlock',
  'DBlockOptimized',
  'DiscBlock',
  'DiscOptBlock',
}
ATTENTION = {'SelfAttention', 'Attention'}


def _prefixes(network) -> dict[str, str]:
  """Returns the names of blocks in a reference -> in ours."""
  found, counts = {}, {}
  for name, module in network.named_modules():
    kind = type(module).__name__
    for kinds, ours in (
      (GENERATOR_BLOCKS, 'GeneratorBlock'),
      (DISCRIMINATOR_BLOCKS, 'DiscriminatorBlock'),
      (ATTENTION, 'SelfAttention'),
    ):
      if kind in kinds:
        number = counts.setdefault(ours, 0)
        counts[ours] += 1
        found[name] = f'{ours}_{number}'
  return found


def _to_ours(kernel):
  return kernel.transpose(2, 3, 1, 0)


def _to_theirs(kernel):
  return kernel.transpose(3, 2, 0, 1)


def _numpy(x) -> np.ndarray:
  return x if isinstance(x, np.ndarray) else x.detach().numpy().copy()


def _split(prefixes: dict[str, str], path: str) -> tuple[str, str]:
  """Returns the block that holds a module, or '', and the rest of its path."""
  inside = [p for p in prefixes if f'{path}.'.startswith(f'{p}.')]
  block = max(inside, key=len, default='')
  return block, path[len(block) + 1 :] if block else path


class Entry(NamedTuple):
  """One of our arrays and its place in the reference.

  Attributes:
    name: our name.
    tensor: tensor of the reference.
    ours: converts an array of the reference's layout to ours.
    theirs: converts back.
    module: module of the reference that has the tensor.
  """

  name: str
  tensor: object
  ours: object
  theirs: object
  module: object


def entries(network, case: Case, pixels: int) -> list[Entry]:
  """Returns all parameters of a reference.

  Args:
    network: the reference.
    case: its case.
    pixels: of the small image, whose dense layer has another order.
  """
  prefixes, found = _prefixes(network), []
  shared = case.generator.get('embedding') or case.generator.get('hierarchical')
  is_kernel = shared or case.generator.get('spectral_labels')
  same = (lambda x: x, lambda x: x)
  turned = (np.transpose, np.transpose)

  def first(x):  # [16 C, ...], pixels last -> [..., 16 C], channels last
    x = x.reshape(-1, pixels, *x.shape[1:])
    x = np.moveaxis(x, (0, 1), (-1, -2))
    return x.reshape(*x.shape[:-2], -1)

  def first_back(x):
    x = x.reshape(*x.shape[:-1], pixels, -1)
    x = np.moveaxis(x, (-1, -2), (0, 1))
    return x.reshape(-1, *x.shape[2:])

  for path, module in network.named_modules():
    own = dict(module.named_parameters(recurse=False))
    if not own:
      continue
    block, rest = _split(prefixes, path)
    layer, _, inner = rest.partition('.')
    if block:
      name = '/'.join(n for n in (prefixes[block], LAYERS.get(layer, '')) if n)
    else:
      name, inner = OUTER[path], ''
    name = name.replace('norm', 'ConditionalBatchNorm_0')
    is_norm = 'ConditionalBatchNorm' in name
    weight = own.get('weight_orig', own.get('weight'))
    kind = type(module).__name__

    def add(suffix, tensor, convert, name=name, module=module):
      found.append(Entry(f'{name}/{suffix}', tensor, *convert, module))

    if 'gamma' in own or 'sigma' in own:
      gain = own.get('gamma', own.get('sigma'))
      add('gain', gain, (lambda x: x.reshape(()), lambda x: x))
    elif is_norm and inner in ('gain', 'bias'):
      part = {'gain': 'scale', 'bias': 'bias'}[inner]
      convert = same if 'Embedding' in kind else turned
      add(f'{part}/{"kernel" if is_kernel else "table"}', weight, convert)
    elif is_norm and inner == 'embed':
      half = weight.shape[1] // 2
      add('scale/table', weight, (lambda x, h=half: x[:, :h], None))
      add('bias/table', weight, (lambda x, h=half: x[:, h:], None))
    elif is_norm:
      add('BatchNorm_0/scale', own.get('weight', own.get('gain')), same)
      add('BatchNorm_0/bias', own['bias'], same)
    elif name == 'labels':
      add('table', weight, same)
    elif weight.ndim == 4:
      add('kernel', weight, (_to_ours, _to_theirs))
    else:
      is_first = pixels and name == 'Dense_0'
      add('kernel', weight, (first, first_back) if is_first else turned)
    if 'bias' in own and not is_norm:
      is_first = pixels and name == 'Dense_0'
      add('bias', own['bias'], (first, first_back) if is_first else same)
  return found


def _fill(found: list[Entry]) -> None:
  """Sets all parameters, and the first vectors of spectral norm."""
  import torch

  for entry in found:
    tensor = entry.tensor
    if entry.theirs is None:  # Scales and biases of mimicry in one table.
      new, is_scale = _numpy(tensor), '/scale/' in entry.name
      half = new.shape[1] // 2
      at = slice(half) if is_scale else slice(half, None)
      new[:, at] = is_scale + value(entry.name, (len(new), half))
    else:
      shape = entry.ours(_numpy(tensor)).shape
      new = entry.theirs(value(entry.name, shape))
    new = torch.from_numpy(np.array(new, np.float64))
    tensor.data.copy_(new.reshape(tensor.shape))
    u = _vector(entry)
    if u is not None:
      started = start_vector(entry.name, u.numel())
      if entry.name == 'Dense_0/kernel':
        started = np.array(entry.theirs(started))
      u.data.copy_(torch.from_numpy(started).reshape(u.shape))


def _vector(entry: Entry):
  """Returns the vector u of spectral norm, or None."""
  if not entry.name.endswith('kernel'):
    return None
  names = ('weight_u', 'u0', 'sn_u')
  vectors = [
    getattr(entry.module, n) for n in names if hasattr(entry.module, n)
  ]
  return vectors[0] if vectors else None


def most_stable(network, found, name: str, shape, output, draws: int = 64):
  """Returns the inputs whose activations are the farthest from zero.

  Args:
    network: a network of a reference.
    found: its `entries`.
    name: name of the inputs; draw i is `value(f'{name} {i}', shape)`.
    shape: shape of the inputs.
    output: function of the inputs.
    draws: number of draws.

  Returns:
    The number of the draw.
  """
  import torch

  relu, nearest = torch.nn.functional.relu, {}

  def watched(x, inplace=False):
    size = x.detach().abs()
    nearest[draw] = min(nearest.get(draw, 1.0), float(size.min() / size.mean()))
    return relu(x, inplace)

  torch.nn.functional.relu = watched
  network.train()
  for draw in range(draws):
    _fill(found)
    with torch.no_grad():
      output(torch.from_numpy(value(f'{name} {draw}', shape)))
  torch.nn.functional.relu = relu
  best = max(nearest, key=nearest.get)
  print(f'  draw {best}: nearest activation {nearest[best]:.0e} of the mean')
  for module in network.modules():
    for statistics, first in (('mean', 0.0), ('var', 1.0)):
      for kind in ('running', 'stored'):
        if hasattr(module, f'{kind}_{statistics}'):
          getattr(module, f'{kind}_{statistics}').fill_(first)
  return best


def record(network, found, inputs, output) -> dict:
  """Runs a network and returns the arrays of our names.

  Args:
    network: a network of a reference, in float64.
    found: its `entries`.
    inputs: latents or images.
    output: function of the inputs.
  """
  import torch

  _fill(found)
  counts = {}

  def count(name):
    def hook(module, args):
      counts[name] = args[0].numel() // args[0].shape[1]

    return hook

  norms = {}
  for name, module in network.named_modules():
    if hasattr(module, 'running_var') or hasattr(module, 'stored_var'):
      module.register_forward_pre_hook(count(name))
      norms[name] = module
  x = torch.from_numpy(inputs).requires_grad_()
  network.train()
  y = output(x)
  probe = torch.from_numpy(value('probe', y.shape))
  (y * probe).sum().backward()
  arrays = {'output': y, 'gradient': x.grad}
  largest = max(float(e.tensor.grad.abs().max()) for e in found)
  for entry in found:
    gradient = entry.ours(_numpy(entry.tensor.grad))
    # Biases before a norm have none.
    if np.abs(gradient).max() > 1e-6 * largest:
      arrays[f'params {entry.name}'] = thin(gradient, 200)
    if _vector(entry) is not None:
      u = _numpy(_vector(entry)).reshape(-1)
      is_first = entry.name == 'Dense_0/kernel' and u.size > 1
      arrays[f'u {entry.name}'] = entry.ours(u) if is_first else u
      if hasattr(entry.module, 'weight_v'):
        v = _numpy(entry.module.weight_v)
        if entry.tensor.ndim == 4:
          v = v.reshape(entry.tensor.shape[1:]).transpose(1, 2, 0).reshape(-1)
        arrays[f'v {entry.name}'] = v
  prefixes = _prefixes(network)
  for path, module in norms.items():
    kind = 'running' if hasattr(module, 'running_var') else 'stored'
    variance = getattr(module, f'{kind}_var')
    n = counts[path]
    variance.copy_(0.9 + (variance - 0.9) * (n - 1) / n)
    block, rest = _split(prefixes, path)
    layer = LAYERS.get(rest.partition('.')[0], 'ConditionalBatchNorm_0')
    name = f'{prefixes[block]}/{layer}' if block else layer
    arrays[f'mean {name}'] = getattr(module, f'{kind}_mean')
    arrays[f'var {name}'] = variance
  if not any(hasattr(m, 'u0') or hasattr(m, 'sn_u') for m in network.modules()):
    network.eval()
    arrays['evaluated'] = output(x)
  return {
    name: thin(_numpy(array)).astype('f') for name, array in arrays.items()
  }


def _mimicry(case: Case):
  # The package itself imports data sets and metrics.
  package = types.ModuleType('torch_mimicry')
  package.__path__ = [str(pathlib.Path(sys.path[0]) / 'torch_mimicry')]
  sys.modules['torch_mimicry'] = package
  sys.modules['torch_mimicry.training'] = types.ModuleType('training')
  theirs = case.theirs
  module = importlib.import_module(f'torch_mimicry.nets.{theirs["module"]}')
  labels = dict(num_classes=CLASSES) if case.conditional else {}
  make = lambda kind, **fields: getattr(module, theirs['name'].format(kind))(
    **fields, **labels
  )
  generator = make('Generator', nz=case.latents, ngf=theirs['width'])
  discriminator = make('Discriminator', ndf=theirs['width'])
  return generator, discriminator, generator, discriminator


def _studiogan(case: Case):
  from torch import nn

  misc = types.ModuleType('utils.misc')
  misc.dummy_context_mgr = contextlib.nullcontext
  sys.modules['utils.misc'] = misc
  ops = importlib.import_module('utils.ops')
  module = importlib.import_module(f'models.{case.theirs["module"]}')
  spectral = case.spectral
  modules = types.SimpleNamespace(
    g_conv2d=ops.snconv2d if spectral else ops.conv2d,
    g_linear=ops.snlinear if spectral else ops.linear,
    g_bn=ops.ConditionalBatchNorm2d,
    g_act_fn=nn.ReLU(inplace=True),
    d_conv2d=ops.snconv2d,
    d_linear=ops.snlinear,
    d_embedding=ops.sn_embedding,
    d_act_fn=nn.ReLU(inplace=True),
  )
  plain = types.SimpleNamespace(info_type='N/A', g_info_injection='N/A')
  g_width, d_width = case.theirs['widths']
  attention = case.theirs.get('attention', ((), ()))
  shared = dict(
    img_size=case.side,
    apply_attn=bool(attention[0]),
    num_classes=CLASSES,
    mixed_precision=False,
    MODULES=modules,
    MODEL=plain,
  )
  generator = module.Generator(
    z_dim=case.latents,
    g_shared_dim=case.theirs.get('shared'),
    g_conv_dim=g_width,
    attn_g_loc=attention[0],
    g_cond_mtd='cBN',
    g_init='ortho',
    g_depth=None,
    **shared,
  )
  discriminator = module.Discriminator(
    d_conv_dim=d_width,
    apply_d_sn=True,
    attn_d_loc=attention[1],
    d_cond_mtd='PD',
    aux_cls_type='W/O',
    d_embed_dim=None,
    normalize_d_embed=False,
    d_init='ortho',
    d_depth=None,
    **shared,
  )
  logits = lambda x, y: discriminator(x, y)['adv_output']
  return generator, discriminator, generator, logits


def _biggan(case: Case):
  module = importlib.import_module('BigGAN')
  theirs = case.theirs
  shared = dict(resolution=case.side, n_classes=CLASSES)
  generator = module.Generator(
    G_ch=theirs['ch'],
    dim_z=case.latents,
    G_attn=theirs['attention'],
    G_shared=bool(theirs['shared']),
    shared_dim=theirs['shared'],
    hier=theirs['hier'],
    **shared,
  )
  discriminator = module.Discriminator(
    D_ch=theirs['ch'], D_attn=theirs['attention'], **shared
  )
  image = lambda z, y: generator(z, generator.shared(y))
  return generator, discriminator, image, discriminator


SOURCES = {'mimicry': _mimicry, 'studiogan': _studiogan, 'biggan': _biggan}


def arrays_of(case: Case) -> dict[str, np.ndarray]:
  """Returns the golden arrays of a case by name."""
  import torch

  generator, discriminator, image, logits = SOURCES[case.source](case)
  y = (torch.tensor(LABELS),) if case.conditional else ()
  arrays = {}
  for player, network, size, output, pixels in (
    (
      'generator',
      generator,
      (case.latents,),
      lambda z: image(z, *y).permute(0, 2, 3, 1),
      16,
    ),
    (
      'discriminator',
      discriminator,
      (case.side, case.side, 3),
      lambda x: logits(x.permute(0, 3, 1, 2), *y).reshape(-1),
      0,
    ),
  ):
    network.double()
    for module in network.modules():
      if isinstance(module, torch.nn.Linear):  # StudioGAN's labels: float32.
        module.register_forward_pre_hook(lambda _, args: (args[0].double(),))
    found, shape = entries(network, case, pixels), (BATCH, *size)
    draw = most_stable(network, found, player, shape, output)
    named = record(network, found, value(f'{player} {draw}', shape), output)
    named['draw'] = np.int32(draw)
    arrays |= {f'{player} {key}': array for key, array in named.items()}
  return arrays


def main(source: str, folder: str) -> None:
  """Writes the arrays of all cases of a reference."""
  import torch

  torch.set_default_dtype(torch.float64)
  sys.path.insert(0, folder + ('/src' if source == 'studiogan' else ''))
  for name, case in CASES.items():
    if case.source == source:
      path = FOLDER / f'residual_{name}.npz'
      np.savez_compressed(path, **arrays_of(case))
      print(path.name, path.stat().st_size, 'bytes')


if __name__ == '__main__':
  main(*sys.argv[1:])
