"""Compiled forms of a file of `steps/`, which tests call more than once."""

import types

import jax

# Functions of (method, state, ...), and which other arguments are static.
_STATIC = {
  'init': (),
  'train_step': (),
  'discriminator_step': (),
  'generator_step': (),
  'evaluate': (),
  'predict': (),
  'sample': (3,),
}


class Compiled:
  """The names of a file of `steps/`, with its steps compiled for each method.

  Args:
    module: the file.
  """

  def __init__(self, module: types.ModuleType):
    self._module = module

  def __getattr__(self, name):
    value = getattr(self._module, name)
    if name in _STATIC:
      value = jax.jit(value, static_argnums=(0, *_STATIC[name]))
    setattr(self, name, value)
    return value
