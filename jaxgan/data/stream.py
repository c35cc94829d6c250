"""Batches of data sets that are too large for the device, through Grain.

Grain reads ahead in threads; which examples are read is `sampling`'s pure
function of (seed, step), so nothing of an iterator is ever saved.
"""

from collections.abc import Iterator

import numpy as np

from jaxgan.data import sampling
from jaxgan.data.dataset import Dataset

THREADS = 8
ROUNDS_AHEAD = 16


class _Rounds:
  """Random access to the examples of round after round, one at a time."""

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
  ):
    self._dataset = dataset
    self._shuffle = shuffle
    self._seed = seed
    self._batch_size = batch_size
    self._places = places
    self._draws = draws
    self._start = start
    self._rounds = rounds
    self._drawn = (-1, None)

  def __len__(self):
    return self._rounds * self._draws * len(self._places)

  def __getitem__(self, place):
    draw, row = divmod(int(place), len(self._places))
    draw += self._start * self._draws
    drawn, rows = self._drawn
    if drawn != draw:
      size = self._dataset.size
      rows = sampling.host_examples(
        self._seed, draw, self._batch_size, size, self._shuffle
      )[self._places]
      self._drawn = (draw, rows)  # one assignment: threads see old or new
    return self._dataset.read(int(rows[row]))


def rounds(
  dataset: Dataset,
  seed: int,
  batch_size: int,
  draws: int,
  start: int,
  stop: int,
  shuffle: bool = True,
  places: np.ndarray | None = None,
) -> Iterator[dict[str, np.ndarray]]:
  """Yields the batches of rounds start, ..., stop - 1.

  Args:
    dataset: where examples are read from.
    seed: seed of the run.
    batch_size: global batch size.
    draws: batches per round.
    start: the first round.
    stop: the round after the last.
    shuffle: see `sampling.examples`.
    places: the part of each batch to read, in order; all B of it if not given.

  Yields:
    {'image': [draws * B, ...], 'label': ...} as stored.
  """
  import grain  # A slow import, and only large data need it.

  if places is None:
    places = np.arange(batch_size)
  source = _Rounds(
    dataset, seed, batch_size, draws, start, stop - start, shuffle, places
  )
  pipeline = (
    grain.MapDataset.source(source)
    .to_iter_dataset(
      grain.ReadOptions(
        num_threads=THREADS,
        prefetch_buffer_size=ROUNDS_AHEAD * draws * len(places),
      )
    )
    .batch(draws * len(places))
  )
  return iter(pipeline)
