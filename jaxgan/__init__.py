"""jaxgan: generative adversarial networks as pure functions in JAX.

Packages, each of which imports only from packages before it:

  core         state, noise and optimizers
  data         reads images and yields batches
  visual       draws pictures
  models       Flax networks
  metrics      scores of images
  adversarial  losses, penalties and tricks
  config       builds networks from config fields
  steps        one file per algorithm
  training     runs the training loop
  modes        tools for a finished run

Packages before `training` are pure, apart from reading data. Their functions
run under `jit`, `pmap`, `vmap` and `scan`.

Names for use from Python, imported on first access:

  trainer    compiles rounds of an algorithm on arrays, without files
  restore    reads a workdir: method, state, config
  load       reads an export, without the packages of training
  explore    shows a workdir with sliders in a notebook
  show       draws images in [-1, 1] as one Pillow image for a notebook
  gan, vae, and the other files of `jaxgan.steps`, with their defaults
  config, data, losses, metrics, models, penalties, presets, train
             modules of the same names
"""

import importlib
import pathlib
import pkgutil

from jaxgan.core.version import __version__ as __version__

# name -> 'module' or 'module:attribute'.
_PUBLIC = {
  'trainer': 'jaxgan.training.on_arrays:trainer',
  'restore': 'jaxgan.modes.restore:restore',
  'load': 'jaxgan.modes.load:load',
  'explore': 'jaxgan.modes.explore.notebook:explore',
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
      f'jaxgan has no {name!r}. It has {", ".join(__all__)}. Import other '
      'modules by their full names.'
    )
  module, _, attribute = _PUBLIC[name].partition(':')
  loaded = importlib.import_module(module)
  return getattr(loaded, attribute) if attribute else loaded


def __dir__():
  return sorted({*globals(), *__all__})
