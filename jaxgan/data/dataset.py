"""What every source of images gives: a `Dataset`."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Spec:
  """What networks need to know about the data.

  Attributes:
    shape: (height, width, channels) of an image, or (2,) of points.
    num_classes: number of labels; 0 if there are none.
    classes: names of the labels.
  """

  shape: tuple[int, ...]
  num_classes: int = 0
  classes: tuple[str, ...] = ()

  @property
  def is_image(self) -> bool:
    return len(self.shape) == 3


@dataclasses.dataclass(frozen=True)
class Dataset:
  """Random access to examples.

  Attributes:
    source: which source it came from.
    name: of the data set.
    split: 'train' or 'test'.
    spec: shapes and labels.
    size: number of examples.
    read: place -> {'image': [*shape], 'label': int32}; 'label' only if there
      are classes. Images are uint8, points float32.
    identity: what must be equal for the data to be the same.
    detail: where it lies and the like, for people.
    columns: all examples as arrays, where they are in memory already.
  """

  source: str
  name: str
  split: str
  spec: Spec
  size: int
  read: Callable[[int], Mapping[str, Any]]
  identity: Mapping[str, Any]
  detail: str = ''
  columns: Mapping[str, np.ndarray] | None = None

  @property
  def num_bytes(self) -> int:
    width = 1 if self.spec.is_image else 4
    return self.size * int(np.prod(self.spec.shape)) * width

  def arrays(self) -> dict[str, np.ndarray]:
    """All examples: 'image' [N, *shape], 'label' [N] if there are classes."""
    if self.columns is not None:
      return dict(self.columns)
    first = self.read(0)
    columns = {
      name: np.empty((self.size, *np.shape(value)), np.asarray(value).dtype)
      for name, value in first.items()
    }
    for place in range(self.size):
      for name, value in self.read(place).items():
        columns[name][place] = value
    return columns


def digest(*arrays: np.ndarray) -> str:
  """A short hash of the values of arrays."""
  found = hashlib.blake2b(digest_size=16)
  for array in arrays:
    found.update(str((array.shape, array.dtype)).encode())
    found.update(np.ascontiguousarray(array).data)
  return found.hexdigest()


def from_arrays(
  source: str, name: str, split: str, image, label=None, classes=(), detail=''
) -> Dataset:
  """A data set that is in memory: image [N, ...], label [N] or None."""
  columns = {'image': image}
  if label is not None:
    columns['label'] = np.asarray(label, np.int32)
  return Dataset(
    source=source,
    name=name,
    split=split,
    spec=Spec(image.shape[1:], len(classes), tuple(classes)),
    size=len(image),
    read=lambda place: {k: v[place] for k, v in columns.items()},
    identity={'digest': digest(*columns.values())},
    detail=detail,
    columns=columns,
  )
