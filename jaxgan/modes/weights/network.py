"""A network of another codebase, by the names of ours."""

import dataclasses
import math
from typing import Any

import numpy as np

from jaxgan import errors
from jaxgan.training import digests

PLAYERS = ('generator', 'discriminator')


@dataclasses.dataclass(frozen=True)
class Network:
  """The arrays of a network, and what they say about its config.

  Attributes:
    path: the file.
    source: name of the codebase.
    player: 'generator' or 'discriminator'.
    fields: fields of `config[player]`.
    arrays: variables by path, as 'params/Dense_0/kernel'.
    classes: number of classes; 0 for none.
    latents: size of the latents of a generator.
    shape: (height, width, channels) of the images of a generator.
    is_averaged: True for averaged weights.
  """

  path: str
  source: str
  player: str
  fields: dict[str, Any]
  arrays: dict[str, np.ndarray]
  classes: int = 0
  latents: int = 0
  shape: tuple[int, ...] = ()
  is_averaged: bool = False

  def fill(self, template):
    """Returns a tree of the form of `template` with the arrays, as float32.

    Raises:
      UserError: names arrays that are missing, unknown, or of another shape.
    """
    wanted = digests.paths(template)
    # The wrapper of spectral norm is one more level of names.
    ours = {path.replace('/module/', '/', 1): path for path in wanted}
    problems = [
      f'{name} is missing' for name in ours if name not in self.arrays
    ]
    problems += [
      f'{name} is unknown' for name in self.arrays if name not in ours
    ]
    problems += [
      f'{name} has shape {array.shape} instead of {wanted[ours[name]].shape}'
      for name, array in self.arrays.items()
      if name in ours and array.shape != wanted[ours[name]].shape
    ]
    if problems:
      raise refusal(self.path, f'no {self.player} of {self.source}', *problems)
    filled = {
      ours[name]: np.array(array, np.float32)
      for name, array in self.arrays.items()
    }
    return digests.with_leaves(template, filled)


def refusal(path, what: str, *problems: str) -> errors.UserError:
  """Returns an error with the file and the first problems."""
  more = f'; and {len(problems) - 3} more' if len(problems) > 3 else ''
  return errors.UserError(f'{path}: {what} ({"; ".join(problems[:3])}{more})')


def refuse_sizes(path, tensors: dict[str, np.ndarray], size: int) -> None:
  """Raises a UserError for tensors larger than their file of `size` bytes."""
  total = sum(math.prod(x.shape) * x.itemsize for x in tensors.values())
  if total > size:
    raise refusal(
      path, 'damaged', f'its tensors have {total} bytes, and the file {size}'
    )


def unit(x: np.ndarray) -> np.ndarray:
  """Returns a vector of length one."""
  return x / max(np.linalg.norm(x), 1e-12)


def iterate(kernel: np.ndarray, u: np.ndarray) -> dict[str, np.ndarray]:
  """Returns vectors of spectral norm after one power iteration from u."""
  matrix = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
  v = unit(matrix @ u)
  return {'u': unit(v @ matrix), 'v': v}
