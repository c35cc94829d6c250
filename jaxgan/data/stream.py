"""Streams batches with Grain, for data that do not fit on the device.

Grain reads ahead in threads. The indices of the examples come from `batches`, a
pure function of (seed, step), so checkpoints hold no iterator state.
"""

import os
from collections.abc import Iterator

import numpy as np

from jaxgan.data import batches as batches_lib
from jaxgan.data.dataset import Dataset

# Decoders run in parallel, but the Python code around them does not. For small
# images one thread is faster than two, and training needs the cores.
THREADS = min(max((os.cpu_count() or 1) // 2, 1), 8)
ROUNDS_AHEAD = 16


class _Rounds:
  """Random access to rounds of examples.

  An element is a full round, because passing small examples one at a time costs
  more than reading them.
  """

  def __init__(
    self,
    dataset: Dataset,
    seed,
    batch_size,
    draws,
    start,
    rounds,
    shuffle,
    places,
    drop_remainder,
  ):
    self._dataset = dataset
    self._shuffle = shuffle
    self._seed = seed
    self._batch_size = batch_size
    self._places = places
    self._drop_remainder = drop_remainder
    self._draws = draws
    self._start = start
    self._rounds = rounds

  def __len__(self):
    return self._rounds

  def __getitem__(self, index):
    first = (self._start + int(index)) * self._draws
    examples = []
    for draw in range(first, first + self._draws):
      rows = batches_lib.host_examples(
        self._seed,
        draw,
        self._batch_size,
        self._dataset.size,
        self._shuffle,
        self._drop_remainder,
      )
      indices = [int(row) for row in rows[self._places]]
      examples += self._dataset.read_many(indices)
    return {
      name: np.stack([example[name] for example in examples])
      for name in examples[0]
    }


def rounds(
  dataset: Dataset,
  seed: int,
  batch_size: int,
  draws: int,
  start: int,
  stop: int,
  shuffle: bool = True,
  places: np.ndarray | None = None,
  drop_remainder: bool = False,
) -> Iterator[dict[str, np.ndarray]]:
  """Yields the batches of rounds start, ..., stop - 1.

  Args:
    dataset: the data set to read from.
    seed: seed of the run.
    batch_size: global batch size.
    draws: batches per round.
    start: the first round.
    stop: the round after the last.
    shuffle: see `batches.examples`.
    places: positions in each batch to read, in this order; all by default.
    drop_remainder: see `batches.examples`.

  Yields:
    {'image': [draws * B, ...], 'label': ...} as stored, with B the batch size
    or the number of `places`.
  """
  import grain  # Slow to import, and only needed for large data.

  if places is None:
    places = np.arange(batch_size)
  source = _Rounds(
    dataset,
    seed,
    batch_size,
    draws,
    start,
    stop - start,
    shuffle,
    places,
    drop_remainder,
  )
  options = grain.ReadOptions(
    num_threads=THREADS, prefetch_buffer_size=ROUNDS_AHEAD
  )
  return iter(grain.MapDataset.source(source).to_iter_dataset(options))
