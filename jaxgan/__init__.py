"""jaxgan: generative adversarial networks as pure functions in JAX.

Packages, in the order in which data flow: `core` holds state, noise and
optimizers; `data` yields batches; `visual` draws pictures; `models` holds Flax
networks; `metrics` scores images; `adversarial` holds losses, penalties and
tricks; `config` builds networks from config fields; `steps` holds one file per
algorithm; `training` runs the loop; `modes` holds tools for a finished run.
Everything before `training` is pure and runs under `jit`, `pmap`, `vmap` and
`scan`, apart from reading data.

Names for use from Python, imported on first access:

  trainer    compiles rounds of an algorithm on arrays, without files
  restore    reads a workdir: method, state, config
  show       draws images in [-1, 1] as one Pillow image for a notebook
  gan, vae, and all other files of `jaxgan.steps`, with their defaults
  config, data, losses, metrics, models, penalties, presets, train
             the modules of these names
"""

import importlib
import pathlib
import pkgutil

from jaxgan.core.version import __version__ as __version__

# name -> the module that it is, or 'module:attribute'.
_PUBLIC = {
  'trainer': 'jaxgan.training.on_arrays:trainer',
  'restore': 'jaxgan.modes.restore:restore',
  'show': 'jaxgan.visual.grid:show',
  **{
    name: f'jaxgan.steps.{name}'
    for name in (
      *('gan', 'inpaint', 'pix2pix', 'cyclegan'),
      *('autoencoder', 'vae', 'classifier'),
    )
  },
  'losses': 'jaxgan.adversarial.losses',
  'penalties': 'jaxgan.adversarial.penalties',
  'presets': 'jaxgan.config.presets',
  'train': 'jaxgan.modes.train',
  **{
    name: f'jaxgan.{name}' for name in ('config', 'data', 'metrics', 'models')
  },
}
_ALGORITHMS = [
  info.name
  for info in pkgutil.iter_modules(
    [str(pathlib.Path(__file__).parent / 'steps')]
  )
  if not info.name.startswith('_')
]
__all__ = sorted([*_PUBLIC, *_ALGORITHMS])


def __getattr__(name: str):
  if name in _ALGORITHMS:
    return importlib.import_module('jaxgan.steps').find(name)
  if name not in _PUBLIC:
    raise AttributeError(
      f'jaxgan has no {name!r}. It has {", ".join(__all__)}; import other '
      'modules by their full name.'
    )
  module, _, attribute = _PUBLIC[name].partition(':')
  found = importlib.import_module(module)
  return getattr(found, attribute) if attribute else found


def __dir__():
  return sorted({*globals(), *__all__})
