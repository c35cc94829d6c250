"""What every source of images gives: a `Dataset`."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgan import errors

TOGETHER = 256  # examples that are read at once


@dataclasses.dataclass(frozen=True)
class Spec:
  """What networks need to know about the data.

  Attributes:
    shape: (height, width, channels) of an image, or (2,) of points.
    num_classes: number of labels; 0 if there are none.
    classes: names of the labels.
    source_shape: of 'source', the other image of every example; () if there is
      none.
  """

  shape: tuple[int, ...]
  num_classes: int = 0
  classes: tuple[str, ...] = ()
  source_shape: tuple[int, ...] = ()

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
    read_many: places -> for each {'image': [*shape], 'label': int32}; 'label'
      only if there are classes, 'source' [*source_shape] of pairs, see `pairs`.
      Images are uint8, points float32.
    identity: what must be equal for the data to be the same.
    detail: where it lies and the like, for people.
    columns: all examples as arrays, where they are in memory already.
    labels: all labels [N], where they are known without reading images.
  """

  source: str
  name: str
  split: str
  spec: Spec
  size: int
  read_many: Callable[[Sequence[int]], Sequence[Mapping[str, Any]]]
  identity: Mapping[str, Any]
  detail: str = ''
  columns: Mapping[str, np.ndarray] | None = None
  labels: np.ndarray | None = None

  def read(self, place: int) -> Mapping[str, Any]:
    """One example; of many, `read_many` may be faster."""
    (example,) = self.read_many([place])
    return example

  @property
  def num_bytes(self) -> int:
    width = 1 if self.spec.is_image else 4
    shapes = [s for s in (self.spec.shape, self.spec.source_shape) if s]
    return self.size * sum(int(np.prod(s)) for s in shapes) * width

  def arrays(self) -> dict[str, np.ndarray]:
    """All examples: 'image' [N, *shape], 'label' [N] if there are classes."""
    if self.columns is not None:
      return dict(self.columns)
    first = self.read(0)
    columns = {
      name: np.empty((self.size, *np.shape(value)), np.asarray(value).dtype)
      for name, value in first.items()
    }
    for place, example in enumerate(self.examples()):
      for name, value in example.items():
        columns[name][place] = value
    return columns

  def evenly(self, most: int) -> dict[str, np.ndarray]:
    """`arrays` of at most so many, spread over the set, whatever its order."""
    count = min(most, self.size)
    return subset(self, np.arange(count) * self.size // count).arrays()

  def examples(self) -> Iterator[Mapping[str, Any]]:
    """All of them, one after another."""
    for first in range(0, self.size, TOGETHER):
      yield from self.read_many(range(first, min(first + TOGETHER, self.size)))


def one_by_one(read: Callable[[int], Mapping[str, Any]]):
  """`read_many` of what reads one example."""
  return lambda places: [read(place) for place in places]


def subset(found: Dataset, rows: np.ndarray, **changed) -> Dataset:
  """The examples `rows` of a data set, in that order."""
  columns = found.columns
  if columns is not None:
    columns = {name: column[rows] for name, column in columns.items()}
  changed = {
    'size': len(rows),
    'read_many': lambda places: found.read_many([int(rows[p]) for p in places]),
    'columns': columns,
    'labels': None if found.labels is None else found.labels[rows],
    'identity': {**found.identity, 'rows': digest(rows)},
  } | changed
  return dataclasses.replace(found, **changed)


def first(found: Dataset, limit: int) -> Dataset:
  """The first `limit` examples."""
  if limit >= found.size:
    return found
  return subset(found, np.arange(limit))


def mixed(found: Dataset) -> Dataset:
  """A fixed order, where all of one class come first, then all of the next.

  Else the first so many examples, and batches of data that are not shuffled,
  would be of one class. Points and images without classes stay as they are.
  """
  labels = found.labels
  if labels is None or len(np.unique(labels)) < 2:
    return found
  if np.any(np.diff(labels) < 0):
    return found
  # Its numbers are the same with every version of NumPy.
  return subset(found, np.random.RandomState(0).permutation(found.size))


def of_classes(found: Dataset, names: Sequence[str]) -> Dataset:
  """The examples of some classes, with labels 0, 1, ... in the order given."""
  known = found.spec.classes
  for name in names:
    if name not in known:
      raise errors.unknown('data.classes', name, known or ['none'])
  labels = found.labels
  if labels is None:
    labels = [example['label'] for example in found.examples()]
  renamed = np.full(len(known), -1, np.int32)
  renamed[[known.index(name) for name in names]] = np.arange(len(names))
  labels = renamed[np.asarray(labels)]
  rows = np.flatnonzero(labels >= 0)
  if not len(rows):
    raise errors.DataError(
      f'data.classes={tuple(names)}: the {found.split} split of {found.name!r} '
      'has no example of these; choose others'
    )
  spec = dataclasses.replace(
    found.spec, num_classes=len(names), classes=tuple(names)
  )
  part = subset(found, rows, spec=spec, labels=labels[rows])
  columns = part.columns
  if columns is not None:
    columns = {**columns, 'label': labels[rows]}

  def read_many(places):
    return [
      {**example, 'label': labels[rows[place]]}
      for place, example in zip(places, part.read_many(places), strict=True)
    ]

  return dataclasses.replace(part, columns=columns, read_many=read_many)


def with_labelled(found: Dataset, count: int, seed: int = 0) -> Dataset:
  """Every example gets a labelled one beside it, one of the `count` known.

  The known ones are drawn evenly over the classes.

  Args:
    found: the data set.
    count: how many labels are known.
    seed: which.

  Returns:
    The data set with 'labelled_image' and 'labelled_label' in every example.
  """
  labels, classes = found.labels, found.spec.num_classes
  if labels is None or count % classes or count > found.size:
    raise errors.DataError(
      f'data.labelled={count} must be a multiple of the {classes} classes, of '
      f'at most {found.size} labelled examples'
    )
  rng = np.random.default_rng(seed)
  known = []
  for label in range(classes):
    rows = np.flatnonzero(labels == label)
    if len(rows) < count // classes:
      raise errors.DataError(
        f'data.labelled={count}: class {found.spec.classes[label]!r} has '
        f'{len(rows)} examples, fewer than {count // classes}'
      )
    known.append(rng.permutation(rows)[: count // classes])
  known = rng.permutation(np.concatenate(known))

  def read(place):
    labelled = found.read(int(known[place % count]))
    return {
      **found.read(place),
      **{f'labelled_{name}': value for name, value in labelled.items()},
    }

  columns = found.columns
  if columns is not None:
    beside = known[np.arange(found.size) % count]
    columns = {
      **columns,
      **{
        f'labelled_{name}': column[beside] for name, column in columns.items()
      },
    }
  return dataclasses.replace(
    found,
    read_many=one_by_one(read),
    columns=columns,
    identity={**found.identity, 'labelled': digest(known)},
  )


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
    read_many=one_by_one(
      lambda place: {k: v[place] for k, v in columns.items()}
    ),
    identity={'digest': digest(*columns.values())},
    detail=detail,
    columns=columns,
    labels=columns.get('label'),
  )


def refuse_missing_labels(wanted, spec, field: str = 'conditional') -> None:
  """Raises a UserError if a field wants labels of data that have none."""
  if wanted and not spec.num_classes:
    raise errors.UserError(
      f'{field}={wanted} needs labels and the data have none; set '
      f'{field}={type(wanted)()} or give a folder of class folders'
    )
