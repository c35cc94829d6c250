"""Makes files of weights with the code that published ones come from.

  python -m tests.golden.make_weights SOURCE FOLDER OUTPUT

SOURCE is mimicry, studiogan or biggan, and FOLDER is a clone of it, see
`make_residual`; or SOURCE is r3gan or stylegan2, and FOLDER is a clone of
brownvc/R3GAN, NVlabs/stylegan2-ada-pytorch or NVlabs/stylegan3. PyTorch and
NumPy are required, and the packages that the clone imports.

Each case of SOURCE becomes the files that its training writes, with random
weights, and `reference.npz` with labels and outputs in evaluation.
`tests.golden.opcodes` copies such a folder to the files that the tests read.
"""

import copy
import functools
import importlib
import pathlib
import pickle
import re
import sys
import types

import numpy as np

from tests.golden import make_r3gan as make_r3gan_arrays
from tests.golden import make_residual
from tests.golden import make_stylegan2 as make_stylegan2_arrays
from tests.golden.make_residual import BATCH, CLASSES, LABELS, Case, thin, value

ROUNDS = 3  # of statistics and of spectral norm
# Cases whose copies are small enough to keep -> arguments that differ.
NARROW = {
  'biggan_ajbrock_32': dict(ch=1),
  'cgan_pd_32': dict(width=4),
  'biggan_32': dict(widths=(2, 1), attention=((2,), ())),
}


R3GAN = {
  'r3gan_16': make_r3gan_arrays.Case(
    *(16, 6, True),
    dict(
      widths=(8, 4, 4), blocks=(1, 2, 1), cardinality=(4, 2, 1), embedding=3
    ),
    dict(
      widths=(4, 4, 8), blocks=(1, 1, 2), cardinality=(1, 2, 4), embedding=5
    ),
  ),
}


STYLEGAN2 = {
  'stylegan2_8': make_stylegan2_arrays.Case(
    *(8, 6, True, 32, 4, 2),
    dict(style_size=4, clamp=1.2),
    dict(group=2, clamp=1.2),
  ),
  'stylegan2_16_residual': make_stylegan2_arrays.Case(
    *(16, 6, False, 64, 8, 3),
    dict(style_size=4, architecture='residual'),
    dict(group=4, architecture='orig'),
  ),
}


def randomise(network, seed: int) -> None:
  """Changes biases, scales, gains and kernels that start as constants."""
  import torch

  generator = torch.Generator().manual_seed(seed)
  for parameter in network.parameters():
    if parameter.ndim < 2 or not parameter.any():
      noise = torch.randn(parameter.shape, generator=generator)
      parameter.data.add_(0.3 * noise)


def warm(network, output, inputs) -> None:
  """Applies a network in training mode, and leaves it in evaluation mode."""
  import torch

  network.train()
  with torch.no_grad():
    for _ in range(ROUNDS):
      output(inputs)
  network.eval()


def inputs_of(player: str, size) -> np.ndarray:
  """Returns inputs of a network, [BATCH, *size]."""
  x = value(f'weights {player}', (BATCH, *size)).astype(np.float32)
  return 1.4 * x


def save(source: str, folder: pathlib.Path, generator, discriminator) -> None:
  """Writes the files that the training of a codebase writes."""
  import torch

  if source == 'biggan':
    for name, network in (('G', generator), ('D', discriminator)):
      torch.save(network.state_dict(), folder / f'{name}.pth')
  elif source == 'studiogan':
    for name, network in (('G', generator), ('D', discriminator)):
      optimizer = torch.optim.Adam(network.parameters())
      states = {'state_dict': network.state_dict()}
      states |= {'optimizer': optimizer.state_dict(), 'step': 7}
      states |= {'run_name': 'run', 'best_fid': np.float64(9.5)}
      name = f'model={name}-current-weights-step=7.pth'
      torch.save(states, folder / name)
  else:
    for name, network in (('netG', generator), ('netD', discriminator)):
      network.save_checkpoint(str(folder), 7, name=f'{name}_7_steps.pth')


def outputs(case: Case, networks, y: tuple, folder: pathlib.Path) -> None:
  """Trains a little, and writes `reference.npz` of both networks.

  Args:
    case: sizes of the networks.
    networks: generator, discriminator, and functions that apply them.
    y: the labels, or ().
    folder: the folder of the case.
  """
  import torch

  generator, discriminator, image, logits = networks
  side = (case.side, case.side, 3)
  arrays = {'labels': np.array(LABELS)}
  for player, network, size, output in (
    ('generator', generator, (case.latents,), lambda z: image(z, *y)),
    (
      'discriminator',
      discriminator,
      side,
      lambda x: logits(x.permute(0, 3, 1, 2).contiguous(), *y),
    ),
  ):
    randomise(network, len(arrays))
    x = torch.from_numpy(inputs_of(player, size))
    warm(network, output, x)
    with torch.no_grad():
      found = output(x)
    found = found.permute(0, 2, 3, 1) if found.ndim == 4 else found
    arrays[player] = thin(found.numpy())
  np.savez_compressed(folder / 'reference.npz', **arrays)


def make(source: str, name: str, folder: pathlib.Path) -> None:
  """Writes the files of a case of `make_residual`."""
  import torch

  case = make_residual.CASES[name]
  case = case._replace(theirs=case.theirs | NARROW.get(name, {}))
  networks = make_residual.SOURCES[source](case)
  y = (torch.tensor(LABELS),) if case.conditional else ()
  outputs(case, networks, y, folder)
  save(source, folder, *networks[:2])


def make_r3gan(name: str, folder: pathlib.Path) -> None:
  """Writes a snapshot of R3GAN."""
  import torch

  case, networks = R3GAN[name], importlib.import_module('training.networks')
  names = dict(
    widths='WidthPerStage',
    blocks='BlocksPerStage',
    cardinality='CardinalityPerStage',
    embedding='ConditionEmbeddingDimension',
  )

  def build(kind, fields, **further):
    sizes = {names[key]: value for key, value in fields.items()}
    further |= dict(FP16Stages=[], ExpansionFactor=2, img_resolution=case.side)
    further |= dict(c_dim=CLASSES if case.conditional else 0)
    return getattr(networks, kind)(**sizes, **further)

  generator = build('Generator', case.generator, NoiseDimension=case.latents)
  discriminator = build('Discriminator', case.discriminator)
  y = (torch.eye(CLASSES)[list(LABELS)] if case.conditional else None,)
  applied = (generator, discriminator, generator, discriminator)
  outputs(case, applied, y, folder)
  snapshot(folder, generator, discriminator)


def make_stylegan2(name: str, folder: pathlib.Path) -> None:
  """Writes a snapshot of StyleGAN2-ADA, or of StyleGAN2 in StyleGAN3's code."""
  case, path = STYLEGAN2[name], 'training.networks'
  is_flat = importlib.util.find_spec(path) is None
  networks = importlib.import_module(f'{path}_stylegan2' if is_flat else path)
  widths = dict(channel_base=case.base, channel_max=case.most)
  shared = dict(c_dim=CLASSES if case.conditional else 0, img_channels=3)
  shared |= dict(img_resolution=case.side)
  shared |= dict(mapping_kwargs=dict(num_layers=case.mapping))

  def fields(ours):
    architecture = ours.get('architecture')
    found = dict(conv_clamp=ours.get('clamp'))
    if architecture:
      found['architecture'] = make_stylegan2_arrays.OURS[architecture]
    return widths | found

  synthesis = fields(case.generator)
  generator = networks.Generator(
    z_dim=case.latents,
    w_dim=case.generator['style_size'],
    **(synthesis if is_flat else dict(synthesis_kwargs=synthesis)),
    **shared,
  )
  discriminator = networks.Discriminator(
    epilogue_kwargs=dict(mbstd_group_size=case.discriminator['group']),
    **fields(case.discriminator),
    **shared,
  )
  applied = (
    lambda z, c: generator(z, c, noise_mode='const'),
    lambda x, c: discriminator(x, c)[:, 0],
  )
  import torch

  y = torch.eye(CLASSES)[list(LABELS)]
  y = (y if case.conditional else torch.zeros((BATCH, 0)),)
  outputs(case, (generator, discriminator, *applied), y, folder)
  snapshot(folder, generator, discriminator)


def snapshot(folder: pathlib.Path, generator, discriminator) -> None:
  """Writes a pickle of modules as the training of NVIDIA's codebases."""
  import torch

  other = copy.deepcopy(generator)
  randomise(other, 9)
  optimizer = torch.optim.Adam(discriminator.parameters())
  contents = dict(G=other, D=discriminator, G_ema=generator, cur_nimg=7)
  contents |= dict(training_set_kwargs=dict(path='data', use_labels=True))
  contents |= dict(D_opt_state=optimizer.state_dict(), augment_pipe=None)
  for network in (generator, other, discriminator):
    network.eval().requires_grad_(False)
  with (folder / 'network-snapshot-000000007.pkl').open('wb') as file:
    pickle.dump(contents, file)


def _old_packages() -> None:
  """Adds the function of `pkg_resources` that newer setuptools lack."""
  versions = types.ModuleType('pkg_resources')
  versions.parse_version = lambda v: [int(n) for n in re.findall(r'\d+', v)[:2]]
  sys.modules['pkg_resources'] = versions


def main(source: str, clone: str, output: str, *names: str) -> None:
  """Writes a folder for each case of a codebase, or for the named cases."""
  import torch

  sys.path.insert(0, clone + ('/src' if source == 'studiogan' else ''))
  makers = {
    name: functools.partial(make, source, name)
    for name, case in make_residual.CASES.items()
    if case.source == source
  }
  if source == 'r3gan':
    makers = {name: functools.partial(make_r3gan, name) for name in R3GAN}
  elif source == 'stylegan2':
    makers = {n: functools.partial(make_stylegan2, n) for n in STYLEGAN2}
  _old_packages()
  for name in names or makers:
    folder = pathlib.Path(output) / name
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    makers[name](folder)
    print(folder)


if __name__ == '__main__':
  main(*sys.argv[1:])
