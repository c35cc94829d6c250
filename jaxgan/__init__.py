"""jaxgan: generative adversarial networks as pure functions in JAX.

The parts, in the order in which data flow: `jaxgan.data` yields batches,
`jaxgan.models` holds Flax networks, `jaxgan.losses` and `jaxgan.penalties` are
tables of functions of logits, `jaxgan.discriminate` is the discriminator's side
of every game, `jaxgan.steps` holds one file per training algorithm. All of
these are pure and run under `jit`, `pmap`, `vmap` and `scan`.
`jaxgan.train` is the loop around them and the only part that has side effects.

What people use from Python, imported when it is first asked for:

  trainer    compiles rounds of an algorithm on arrays, without files
  restore    what a run left in its workdir: method, state, config
  show       images in [-1, 1] as one Pillow image, which notebooks display
  gan, inpaint, pix2pix, cyclegan, autoencoder, vae, classifier
             the algorithms of `jaxgan.steps`
  config, data, losses, metrics, models, penalties, presets, train
             the modules of these names
"""

import importlib

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
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
  if name not in _PUBLIC:
    raise AttributeError(
      f'jaxgan has no {name!r}; it has {", ".join(__all__)}, and further '
      'modules by their own import'
    )
  module, _, attribute = _PUBLIC[name].partition(':')
  found = importlib.import_module(module)
  return getattr(found, attribute) if attribute else found


def __dir__():
  return sorted({*globals(), *__all__})
