"""Numbers that may be traced by a sweep."""

import jax


def is_known(number) -> bool:
  """Whether a number can be checked; those that a sweep traces were before."""
  return not isinstance(number, jax.core.Tracer)


def is_on(weight) -> bool:
  """Whether a term is computed; one whose weight a sweep traces always is."""
  return not is_known(weight) or bool(weight)
