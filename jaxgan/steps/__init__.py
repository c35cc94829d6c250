"""Training algorithms, one file each.

Every file has a frozen dataclass (the method), which holds the networks and
settings of an algorithm, and functions that take it. Each file defines these:

  from_config(config, spec) -> method
  modules(method) -> {name: (module, examples of its inputs)}
  init(method, key) -> TrainState
  train_step(method, state, batch, key) -> (TrainState, metrics)
  evaluate(method, state, batch) -> scores of held-out images

If images come from latents, the method has a field `latents`, and the file
defines this function:

  decode(method, state, z, label=None) -> images, with the weights of
    `use_ema_weights`

Everything else has a default in `jaxgan.steps._defaults`:

  sample(method, state, key, num) -> images for scores
  preview(method, state, batch, key) -> {name: images} for the sample pictures:
    images [N, H, W, C], or [rows, columns, H, W, C] for a fixed layout. The
    first is the main picture. Several pictures need an OrderedDict, because
    `jit` sorts the keys of a plain dict
  SHOWN_IMAGES: held-out examples in the batch of `preview`
  SMOOTH_LATENTS: False if images do not follow small moves of latents
  batches_per_round(method) -> batches of `batch_size` examples in a round
  equilibrium_metrics(method) -> {metric: value at the theoretical equilibrium}
  use_ema_weights(method, state) -> state for `decode`
  export_functions(method, state) -> {name: (function, weights, inputs)}: the
    function maps the weights and a batch of each input to images; `inputs`
    maps names, keys of `export.INPUTS`, to examples [1, ...]

A method with a discriminator extends `adversarial.game.Game`.

`key` is the key of the run and never changes. A step folds in `state.step`, so
that a resumed run draws the same random numbers as an unbroken run. No
algorithm depends on files, flags or the training loop.
"""

import dataclasses
import functools
import importlib
import pkgutil
from types import ModuleType

from jaxgan import errors
from jaxgan.steps import _defaults


@dataclasses.dataclass(frozen=True)
class Algorithm:
  """A file of `jaxgan.steps` together with the defaults of the contract.

  Attributes:
    module: the module of the file.
  """

  module: ModuleType

  @property
  def name(self) -> str:
    return self.module.__name__.rpartition('.')[-1]

  @property
  def has_latents(self) -> bool:
    """True if images come from latents."""
    return 'decode' in vars(self.module)

  def __getattr__(self, name: str):
    if name in vars(self.module):
      return vars(self.module)[name]
    if name in _defaults.FUNCTIONS:
      return functools.partial(_defaults.FUNCTIONS[name], self)
    if name in _defaults.CONSTANTS:
      return _defaults.CONSTANTS[name]
    raise AttributeError(f'{self.module.__name__} has no {name!r}')

  def __dir__(self):
    return sorted(
      {*vars(self.module), *_defaults.FUNCTIONS, *_defaults.CONSTANTS}
    )


def with_defaults(algorithm) -> Algorithm:
  """Returns an algorithm with the defaults of the contract.

  Args:
    algorithm: an `Algorithm`, or a module with the functions of the contract.
  """
  return algorithm if isinstance(algorithm, Algorithm) else Algorithm(algorithm)


def known() -> list[str]:
  """Returns the names of all algorithms."""
  names = (info.name for info in pkgutil.iter_modules(__path__))
  return [name for name in names if not name.startswith('_')]


def find(name: str) -> Algorithm:
  """Returns the algorithm `name`.

  Raises:
    UserError: if the name is unknown.
  """
  if name not in known():
    raise errors.unknown('method', name, known())
  return Algorithm(importlib.import_module(f'{__name__}.{name}'))
