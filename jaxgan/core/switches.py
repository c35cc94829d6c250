"""Numbers that may be traced, by a sweep or by `jit`."""

import jax
import numpy as np

from jaxgan import errors


def is_known(number) -> bool:
  """Returns False for traced values."""
  return not isinstance(number, jax.core.Tracer)


def is_on(weight) -> bool:
  """Returns True if a term is computed: weight not zero, or traced."""
  return not is_known(weight) or bool(weight)


def check_labels(label, num_classes: int) -> None:
  """Raises a UserError for a label that is no class, if values are known.

  Within `jit` and other transformations labels are not known. A label out of
  range there gives an image of no class, or NaN.

  Args:
    label: numbers of classes, of any shape.
    num_classes: number of classes.
  """
  if not is_known(label):
    return
  values = np.asarray(label)
  wrong = values[(values < 0) | (values >= num_classes)]
  if wrong.size:
    raise errors.UserError(
      f'label={wrong[0]} is no class. Pass numbers in 0..{num_classes - 1}.'
    )
