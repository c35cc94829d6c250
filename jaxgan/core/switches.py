"""Numbers that may be traced by a sweep."""

import jax


def is_known(number) -> bool:
  """Returns False for values traced by a sweep."""
  return not isinstance(number, jax.core.Tracer)


def is_on(weight) -> bool:
  """Returns True if a term is computed: weight not zero, or traced."""
  return not is_known(weight) or bool(weight)
