"""The images of a run: for training, for scores and for previews."""

import logging
import pathlib

import jax
import numpy as np

from jaxgan import data, errors, steps
from jaxgan.core import pixels as pixels_lib
from jaxgan.data import stream
from jaxgan.training import data_files
from jaxgan.training import workdir as workdir_lib
from jaxgan.training.devices import Engine

_logger = logging.getLogger(__name__)

HELD_OUT_IMAGES = 1_000
LEAST_HELD_OUT = 100  # Means over fewer images differ by chance.


def load(config, workdir: pathlib.Path, record) -> data.Dataset:
  """Returns the training data and sets `data.source=auto` to the source found.

  Args:
    config: the config of the run.
    workdir: the folder of the run.
    record: the `config.json` of the workdir, or None.

  Raises:
    UserError: if the config or the data differ from the record.
  """
  if record is not None:
    recorded = record['config']['data']['source']
    if config.data.source == 'auto':
      config.data.source = recorded
      _logger.info('data.source=%s, as recorded in the workdir', recorded)
    workdir_lib.refuse_changes(workdir, record, config)
  config.data.source = data.resolve(config.data)
  data_files.make_absolute(config.data)
  dataset = data_files.load(config, workdir)
  if dataset.size < 2:
    raise errors.DataError(
      f'data.source={config.data.source!r}: found {dataset.size} training '
      'image; at least 2 are required. Add images to data.path, or raise '
      'data.limit.'
    )
  if record is not None:
    workdir_lib.refuse_changes(workdir, record, config, dataset)
  return dataset


class Inputs:
  """Images of a run.

  Attributes:
    dataset: the training images.
    resident: True if the whole data set is on the devices, False if batches
      are streamed.
    held_out: images for scores, or None.
    seen: training images, the same number as held-out images, which must be at
      least `LEAST_HELD_OUT`; None otherwise.
    shown: images for previews, or None.
    order: fields of `batches.examples` that define the order of examples.
    arrays: the whole data set on the devices; only if it is resident.
  """

  def __init__(self, config, dataset: data.Dataset, algorithm: steps.Algorithm):
    self._config = config
    self._algorithm = algorithm
    self.dataset = dataset
    self.resident = dataset.num_bytes <= config.data.resident_bytes
    self.order = {
      'shuffle': config.data.shuffle,
      'drop_remainder': config.data.get('drop_remainder', False),
    }
    self.held_out = self.seen = self.shown = None
    num_shown = algorithm.SHOWN_IMAGES if config.sample_every else 0
    if not config.eval_every and not num_shown:
      return
    try:
      test = data.load(config.data, 'test')
    except errors.DataError:
      if config.eval_every:
        raise
      test = dataset  # A folder may have no held-out images.
    if config.eval_every:
      self.held_out = test.evenly(HELD_OUT_IMAGES)
      count = len(self.held_out['image'])
      if count >= LEAST_HELD_OUT:
        self.seen = dataset.evenly(count)
    if num_shown:
      self.shown = test.evenly(num_shown)

  def open(self, engine: Engine, method, step: int) -> None:
    """Puts images on the devices, or starts the stream.

    Args:
      engine: the devices.
      method: the parts of the algorithm that never change.
      step: the first round that is fed.
    """
    self._engine, config = engine, self._config
    self.held_out = self._on_devices(self.held_out)
    self.seen = self._on_devices(self.seen)
    self.shown = self._on_devices(self.shown)
    if self.resident:
      self.arrays = engine.replicate(self.dataset.arrays())
    elif step < config.num_steps:
      self._stream = stream.rounds(
        self.dataset,
        config.seed,
        config.batch_size,
        self._algorithm.batches_per_round(method),
        step,
        config.num_steps,
        places=engine.local_examples(config.batch_size),
        **self.order,
      )

  def _on_devices(self, batch) -> dict[str, jax.Array] | None:
    """Returns examples on the devices, with images in [-1, 1]."""
    if batch is None:
      return None
    return self._engine.replicate(
      {name: pixels_lib.to_float(x) for name, x in batch.items()}
    )

  def feed(self, rounds: int):
    """Returns the data of the next call."""
    if self.resident:
      return self.arrays
    batches = [next(self._stream) for _ in range(rounds)]
    size = len(self._engine.local_examples(self._config.batch_size))
    stacked = {
      name: np.stack([batch[name] for batch in batches]) for name in batches[0]
    }
    return self._engine.split(
      {
        name: x.reshape(rounds, -1, size, *x.shape[2:])
        for name, x in stacked.items()
      }
    )
