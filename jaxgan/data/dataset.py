"""Random access to examples, the result of every source of images."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgan import errors
from jaxgan.data.files import File

TOGETHER = 256  # examples per call of `read_many`


@dataclasses.dataclass(frozen=True)
class Spec:
  """Shapes and labels of a data set, from which networks are built.

  Attributes:
    shape: (height, width, channels) of an image, or (2,) of points.
    num_classes: number of classes; 0 without labels.
    classes: names of the classes.
    source_shape: (height, width, channels) of 'source', the second image of
      every example; () without sources.
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
    source: key of `data.SOURCES`.
    name: name of the data set.
    split: 'train' or 'test'.
    spec: shapes and labels.
    size: number of examples.
    read_many: maps indices to examples {'image': [*shape], 'label': int32}.
      'label' is there if the data have classes. Pairs have 'source'
      [*source_shape], see `pairs`. Images are uint8, points float32.
    identity: values that differ if the data differ.
    detail: location and size of the data, for log lines.
    columns: all examples as arrays, if the data are in memory already.
    labels: all labels [N], if these are known without reading images.
    files: all files of both splits, of a folder.
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
  files: tuple[File, ...] = ()

  def read(self, index: int) -> Mapping[str, Any]:
    """Returns one example; for many examples `read_many` may be faster."""
    (example,) = self.read_many([index])
    return example

  @property
  def num_bytes(self) -> int:
    width = 1 if self.spec.is_image else 4
    shapes = [s for s in (self.spec.shape, self.spec.source_shape) if s]
    return self.size * sum(int(np.prod(s)) for s in shapes) * width

  def arrays(self) -> dict[str, np.ndarray]:
    """Returns all examples: 'image' [N, *shape], and 'label' [N] of classes."""
    if self.columns is not None:
      return dict(self.columns)
    first = self.read(0)
    columns = {
      name: np.empty((self.size, *np.shape(value)), np.asarray(value).dtype)
      for name, value in first.items()
    }
    for index, example in enumerate(self.examples()):
      for name, value in example.items():
        columns[name][index] = value
    return columns

  def evenly(self, most: int) -> dict[str, np.ndarray]:
    """Returns `arrays` of at most `most` examples at even distances."""
    count = min(most, self.size)
    return subset(self, np.arange(count) * self.size // count).arrays()

  def examples(self) -> Iterator[Mapping[str, Any]]:
    """Yields all examples in order."""
    for first in range(0, self.size, TOGETHER):
      yield from self.read_many(range(first, min(first + TOGETHER, self.size)))


def one_by_one(read: Callable[[int], Mapping[str, Any]]):
  """Returns a `read_many` that calls `read` for every index."""
  return lambda indices: [read(index) for index in indices]


def subset(dataset: Dataset, rows: np.ndarray, **changes) -> Dataset:
  """Selects the examples `rows` of a data set, in that order.

  Args:
    dataset: the data set.
    rows: indices of the examples.
    **changes: fields of the `Dataset` to replace.
  """
  columns = dataset.columns
  if columns is not None:
    columns = {name: column[rows] for name, column in columns.items()}
  changes = {
    'size': len(rows),
    'read_many': lambda indices: dataset.read_many(
      [int(rows[index]) for index in indices]
    ),
    'columns': columns,
    'labels': None if dataset.labels is None else dataset.labels[rows],
    'identity': {**dataset.identity, 'rows': digest(rows)},
  } | changes
  return dataclasses.replace(dataset, **changes)


def first(dataset: Dataset, limit: int) -> Dataset:
  """Selects the first `limit` examples."""
  if limit >= dataset.size:
    return dataset
  return subset(dataset, np.arange(limit))


def mixed(dataset: Dataset) -> Dataset:
  """Shuffles data that are sorted by class, always in the same order.

  Without this the first examples of a sorted set, and its unshuffled batches,
  would have one class. Unsorted data and data without labels stay unchanged.
  """
  labels = dataset.labels
  if labels is None or len(np.unique(labels)) < 2:
    return dataset
  if np.any(np.diff(labels) < 0):
    return dataset
  # RandomState draws the same numbers with every version of NumPy.
  return subset(dataset, np.random.RandomState(0).permutation(dataset.size))


def of_classes(dataset: Dataset, names: Sequence[str]) -> Dataset:
  """Selects the examples of some classes and numbers the classes from 0.

  Args:
    dataset: the data set.
    names: names of the classes; class `names[k]` gets label k.

  Raises:
    UserError: for an unknown class, and for classes without examples.
  """
  known = dataset.spec.classes
  for name in names:
    if name not in known:
      raise errors.unknown('data.classes', name, known or ['none'])
  labels = dataset.labels
  if labels is None:
    labels = [example['label'] for example in dataset.examples()]
  renamed = np.full(len(known), -1, np.int32)
  renamed[[known.index(name) for name in names]] = np.arange(len(names))
  labels = renamed[np.asarray(labels)]
  rows = np.flatnonzero(labels >= 0)
  if not len(rows):
    raise errors.DataError(
      f'data.classes={tuple(names)} is wrong because the {dataset.split} split '
      f'of {dataset.name!r} has no example of these. Choose other classes.'
    )
  spec = dataclasses.replace(
    dataset.spec, num_classes=len(names), classes=tuple(names)
  )
  part = subset(dataset, rows, spec=spec, labels=labels[rows])
  columns = part.columns
  if columns is not None:
    columns = {**columns, 'label': labels[rows]}

  def read_many(indices):
    return [
      {**example, 'label': labels[rows[index]]}
      for index, example in zip(indices, part.read_many(indices), strict=True)
    ]

  return dataclasses.replace(part, columns=columns, read_many=read_many)


def with_labelled(dataset: Dataset, count: int, seed: int = 0) -> Dataset:
  """Adds a labelled example to every example, for semi-supervised training.

  The labelled examples are drawn evenly over the classes.

  Args:
    dataset: the data set.
    count: number of examples whose labels are known.
    seed: seed of the draw.

  Returns:
    The data set with 'labelled_image' and 'labelled_label' in every example.

  Raises:
    DataError: if the data have no labels or too few examples of a class.
  """
  labels, classes = dataset.labels, dataset.spec.num_classes
  if labels is None or count % classes or count > dataset.size:
    raise errors.DataError(
      f'data.labelled={count} must be a multiple of the {classes} classes and '
      f'at most {dataset.size}, the number of examples. Choose such a number '
      'and data with labels.'
    )
  rng = np.random.default_rng(seed)
  known = []
  for label in range(classes):
    rows = np.flatnonzero(labels == label)
    if len(rows) < count // classes:
      raise errors.DataError(
        f'data.labelled={count} is too many because class '
        f'{dataset.spec.classes[label]!r} has {len(rows)} examples, fewer than '
        f'{count // classes}. Set at most {len(rows) * classes}.'
      )
    known.append(rng.permutation(rows)[: count // classes])
  known = rng.permutation(np.concatenate(known))

  def read(index):
    labelled = dataset.read(int(known[index % count]))
    return {
      **dataset.read(index),
      **{f'labelled_{name}': value for name, value in labelled.items()},
    }

  columns = dataset.columns
  if columns is not None:
    rows = known[np.arange(dataset.size) % count]
    columns = {
      **columns,
      **{f'labelled_{name}': column[rows] for name, column in columns.items()},
    }
  return dataclasses.replace(
    dataset,
    read_many=one_by_one(read),
    columns=columns,
    identity={**dataset.identity, 'labelled': digest(known)},
  )


def digest(*arrays: np.ndarray) -> str:
  """Returns a short hash of the shapes, types and values of arrays."""
  hasher = hashlib.blake2b(digest_size=16)
  for array in arrays:
    hasher.update(str((array.shape, array.dtype)).encode())
    hasher.update(np.ascontiguousarray(array).data)
  return hasher.hexdigest()


def from_arrays(
  source: str, name: str, split: str, image, label=None, classes=(), detail=''
) -> Dataset:
  """Returns a data set in memory from image [N, ...] and label [N] or None."""
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
      lambda index: {k: v[index] for k, v in columns.items()}
    ),
    identity={'digest': digest(*columns.values())},
    detail=detail,
    columns=columns,
    labels=columns.get('label'),
  )


def refuse_missing_labels(wanted, spec, field: str = 'conditional') -> None:
  """Raises a UserError if a field needs labels and the data have none."""
  if wanted and not spec.num_classes:
    raise errors.UserError(
      f'{field}={wanted} needs labels and the data have none. Set '
      f'{field}={type(wanted)()} or use a folder of class folders.'
    )
