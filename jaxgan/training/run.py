"""What a run holds while it trains: one of them, or see `members`.

`train` says what happens when; here is how.
"""

import dataclasses
import functools
import json
import logging
import pathlib
import zlib
from typing import Any

import jax
import ml_collections
import numpy as np

from jaxgan import config as config_lib
from jaxgan import data, errors, steps
from jaxgan.core import pixels as pixels_lib
from jaxgan.core.state import TrainState
from jaxgan.data import stream
from jaxgan.data.dataset import Spec
from jaxgan.training import checkpoint, processes, summary, sweeps, writers
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib
from jaxgan.training import workdir as record_lib
from jaxgan.training.metric_window import Window
from jaxgan.visual import animation, curves, grid

_logger = logging.getLogger(__name__)

# Folded into the run's key for the latents of the grid.
PREVIEW_STREAM = 2**31 - 1
HELD_OUT_IMAGES = 1_000


def preview_key(seed):
  """The key of the latents of a run's grids."""
  return jax.random.fold_in(jax.random.key(seed), PREVIEW_STREAM)


class Training:
  """Data, networks, devices and state of a run, and what is done with them.

  Attributes:
    own: a config of one run: that of the networks that are described.
  """

  def __init__(self, config, workdir: pathlib.Path, make_scorer=None):
    self.config = self.own = config
    self.workdir = workdir
    self.make_scorer = make_scorer
    self.samples = workdir / 'samples'

  def build(self) -> None:
    """Data, networks and devices; raises for what does not fit."""
    config = self.config
    # First: it needs neither data nor compilation.
    self.engine = self.make_engine()
    devices_lib.check_precision(config.precision)
    self.algorithm = steps.find(config.method)
    record = record_lib.read(self.workdir)
    if config.init_from and record is None:
      self._check_first_weights()
    if record is not None:
      recorded = record['config']['data']['source']
      if config.data.source == 'auto':
        config.data.source = recorded
        _logger.info('data.source=%s, as when this run was begun', recorded)
      record_lib.refuse_changes(self.workdir, record, config)
    config.data.source = data.resolve(config.data)
    self.dataset = data.load(config.data)
    if self.dataset.size < 2:
      raise errors.DataError(
        f'data.source={config.data.source!r}: there is {self.dataset.size} '
        'image to train on and a distribution needs two at least; add images '
        'to data.path, or raise data.limit'
      )
    if record is not None:
      record_lib.refuse_changes(self.workdir, record, config, self.dataset)
    spec = self.dataset.spec
    try:
      self.method = self.algorithm.from_config(self.own, spec)
    except (AttributeError, KeyError) as error:
      field = config_lib.missing(config, error)
      if not field:
        raise
      raise errors.UserError(
        f'method={config.method!r} needs a field {field!r} and the config has '
        'none; begin with a config of that method'
      ) from None
    self.resident = self.dataset.num_bytes <= config.data.resident_bytes
    self.held_out = self.shown = None
    num_shown = self.algorithm.SHOWN_IMAGES if config.sample_every else 0
    if config.eval_every or num_shown:
      try:
        test = data.load(config.data, 'test')
      except errors.DataError:
        if config.eval_every:
          raise
        test = self.dataset  # A folder may hold nothing back.
      if config.eval_every:
        self.held_out = test.evenly(HELD_OUT_IMAGES)
      if num_shown:
        self.shown = test.evenly(num_shown)
    self.judge = None
    if config.eval_every and config.eval_images and self.make_scorer:
      if processes.num_processes() > 1:
        raise errors.UserError(
          f'eval_images={config.eval_images} is for one process and there are '
          f'{processes.num_processes()}; set eval_images=0 and score with '
          '--mode=evaluate --follow beside the run'
        )
      self.judge = self.make_scorer(config, self.algorithm)

  def _check_first_weights(self) -> None:
    """Raises for an `init_from` that can have none, before anything is read."""
    other = record_lib.read(pathlib.Path(self.config.init_from))
    what = 'holds no run'
    if other is not None:
      if not sweeps.is_population(other['config']):
        return
      what = 'holds a population, and weights of one run are wanted'
    raise errors.UserError(
      f'init_from={self.config.init_from!r} {what}; give the workdir of a run '
      'by itself'
    )

  def make_engine(self) -> devices_lib.Engine:
    return devices_lib.make(self.config.engine, self.config.batch_size)

  def describe(self) -> None:
    """Prints tables of networks and data."""
    if self.resident:
      where = f'on the device, {self.dataset.num_bytes / 1e6:.1f} MB'
    else:
      where = 'streamed'
    devices = self.engine.mesh.devices.flat
    where += f', {len(devices)} x {devices[0].device_kind}, {self.engine.name}'
    print(summary.data(self.dataset, where), end='\n\n')
    for name, (module, inputs) in self.algorithm.modules(self.method).items():
      print(summary.network(name, module, *inputs), end='\n\n', flush=True)

  def start(self, checkpoints, before: int | None = None) -> None:
    """The first state, by the precedence of `jaxgan.checkpoint`."""
    # It renames what is damaged.
    with processes.first_before_others():
      restored = checkpoints.restore(self.like(), before)
    pending = {}
    if restored is not None:
      state, meta = restored
      self.state = self.restored(state)
      self.step = meta['step']
      record_lib.refuse_changes(self.workdir, meta, self.config, self.dataset)
      pending = meta['pending']
      print(f'resumed from the checkpoint of step {meta["step"]}')
    else:
      self.state, self.step = self.first(), 0
      if self.config.init_from:
        print(f'first weights from {self.config.init_from}')
    self.started_at = self.step if restored is not None else None
    self.window = Window(self.step, pending)
    self._compare_processes()

  def like(self):
    """Shapes, types and places of a restored state."""
    return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(
        x.shape, x.dtype, sharding=self.engine.replicated
      ),
      jax.eval_shape(
        functools.partial(self.algorithm.init, self.method), jax.random.key(0)
      ),
    )

  def restored(self, state):
    """What the loop goes on with, of what `like` describes."""
    return state

  def first(self):
    """The state before the first round."""
    init = compile_lib.jit_once(
      functools.partial(self.algorithm.init, self.method),
      out_shardings=self.engine.replicated,
    )
    return self.adopted(init(jax.random.key(self.config.seed)))

  def adopted(self, state):
    """A fresh state, with the weights of `init_from` if there is one."""
    if not self.config.init_from:
      return state
    return self.engine.replicate(checkpoint.adopt(self.config.init_from, state))

  def _compare_processes(self) -> None:
    """Raises unless all processes are about to do the same."""
    begun = {
      'config': self.config.to_dict(),
      'data': record_lib.of_data(self.dataset),
      'step': self.step,
    }
    for name, value in begun.items():
      text = json.dumps(value, sort_keys=True)
      if not processes.same_everywhere(zlib.crc32(text.encode())):
        raise errors.UserError(
          f'processes differ in {name}, here {text[:200]}; give all of them '
          'the same flags, data, and a workdir on a file system that they share'
        )

  def open_writers(self) -> writers.All:
    if not processes.is_first():
      return writers.All()
    step = -1 if self.started_at is None else self.started_at
    return writers.All(
      writers.JsonLines(self.workdir / 'metrics.jsonl', step),
      writers.TensorBoard(self.workdir / 'tensorboard', self.step),
      writers.Console(self.config.num_steps, self.step),
    )

  def train_step(self):
    """What `parallel` repeats."""
    return functools.partial(self.algorithm.train_step, self.method)

  def program(self, rounds: int) -> dict:
    """So many rounds, as `parallel` compiles them."""
    return {
      'engine': self.engine,
      'train_step': self.train_step(),
      'rounds': rounds,
      'draws': self.algorithm.batches_per_round(self.method),
      'batch_size': self.config.batch_size,
      'resident': self.resident,
      'shuffle': self.config.data.shuffle,
      'precision': self.config.precision,
    }

  def compile(self) -> None:
    """Functions from states to states, images and scores."""
    config, algorithm = self.config, self.algorithm
    replicate = self.engine.replicate
    self.compile_steps()
    self.held_out = self._placed(self.held_out)
    self.shown = self._placed(self.shown)
    if self.resident:
      self.data = replicate(self.dataset.arrays())
    elif self.step < config.num_steps:
      self.stream = stream.rounds(
        self.dataset,
        config.seed,
        config.batch_size,
        algorithm.batches_per_round(self.method),
        self.step,
        config.num_steps,
        config.data.shuffle,
        self.engine.places(config.batch_size),
      )

  def compile_steps(self) -> None:
    """What an algorithm does with a state."""
    config, algorithm = self.config, self.algorithm
    self.call = self.rounds()
    self.seed = self.engine.replicate(np.uint32(config.seed))
    whole = functools.partial(jax.jit, out_shardings=self.engine.replicated)
    self.preview_key = whole(preview_key)(self.seed)
    self.preview = whole(functools.partial(algorithm.preview, self.method))
    self.evaluate = whole(functools.partial(algorithm.evaluate, self.method))

  def rounds(self):
    """A function from a number of rounds to their compiled call."""
    return functools.cache(
      lambda rounds: compile_lib.compile_rounds(**self.program(rounds))
    )

  def _placed(self, batch):
    """Examples as the algorithms take them, on the devices."""
    if batch is None:
      return None
    return self.engine.replicate(
      {name: pixels_lib.to_float(x) for name, x in batch.items()}
    )

  def feed(self, rounds: int):
    """The data argument of the next call."""
    if self.resident:
      return self.data
    batches = [next(self.stream) for _ in range(rounds)]
    size = len(self.engine.places(self.config.batch_size))
    stacked = {
      name: np.stack([batch[name] for batch in batches]) for name in batches[0]
    }
    return self.engine.split(
      {
        name: x.reshape(rounds, -1, size, *x.shape[2:])
        for name, x in stacked.items()
      }
    )

  def scalars(self, is_log: bool, is_eval: bool) -> dict[str, float]:
    """One line of metrics."""
    values = {'images': self.step * self.config.batch_size}
    if is_log:
      values |= self.means()
    if is_eval:
      values |= self.scores()
    return values

  def means(self) -> dict[str, float]:
    """Metrics of the rounds since the last line."""
    return self.window.means()

  def scores(self) -> dict[str, float]:
    """What held-out images and samples get now."""
    found = self.evaluate(self.state, self.held_out)
    return self.with_samples(found, self.method, self.state)

  def with_samples(self, scores, method, state) -> dict[str, float]:
    """Scores, and those of samples where these are asked for."""
    values = {k: float(v) for k, v in jax.device_get(scores).items()}
    if self.judge is not None:
      spec = self.dataset.spec
      run = Run(self.algorithm, method, state, spec, self.config)
      # It moves images to the host and back, and is asked for by name.
      with jax.transfer_guard('allow'):
        values |= self.judge.scores_of(run)
    return values

  def is_averaged(self) -> bool:
    """Whether what is shown comes from averaged weights."""
    return bool(self.config.get('ema_halflife'))

  def pictures(self) -> dict[str, np.ndarray]:
    """The grids of this step; also written as files."""
    shown = self.previewed()
    if not processes.is_first():
      return {}
    images = self.step * self.config.batch_size
    caption = f'step {self.step:,}  {images:,} images'
    average = ', averaged weights' if self.is_averaged() else ''
    found = {}
    for place, (name, values) in enumerate(shown.items()):
      found[name] = grid.draw(values, f'{caption}  {name}{average}')
      suffix = f'_{name}' if place else ''
      grid.save(self.samples / f'step_{self.step:08d}{suffix}.png', found[name])
    return found

  def previewed(self) -> dict[str, np.ndarray]:
    """Images by name, the main ones first; see `jaxgan.steps`."""
    return jax.device_get(
      self.preview(self.state, self.shown, self.preview_key)
    )

  def saved_state(self):
    """What a checkpoint holds."""
    return self.state

  def states(self) -> dict[str, object]:
    """States on the host by whose they are, '' of a lone run."""
    return {'': jax.device_get(self.state)}

  def seeds(self) -> dict[str, int]:
    """Likewise."""
    return {'': self.config.seed}

  def equilibrium_metrics(self) -> dict[str, float]:
    """Where theory says that metrics end."""
    return self.algorithm.equilibrium_metrics(self.method)

  def save(self, checkpoints) -> None:
    meta = {
      'config': self.config.to_dict(),
      'data': record_lib.of_data(self.dataset),
      'pending': self.window.pending(),
    }
    if processes.is_first():
      checkpoints.save(self.step, self.saved_state(), meta)

  def finish(self) -> None:
    """What shows the whole run: `samples.gif` and `curves.png`."""
    if not processes.is_first():
      return
    frames = sorted(
      p for p in self.samples.glob('step_*.png') if p.stem.count('_') == 1
    )
    animation.gif(frames, self.workdir / 'samples.gif')
    curves.draw(
      writers.read_json_lines(self.workdir / 'metrics.jsonl'),
      self.equilibrium_metrics(),
      self.workdir / 'curves.png',
    )


@dataclasses.dataclass(frozen=True)
class Run:
  """What a run left.

  Attributes:
    algorithm: of `jaxgan.steps`.
    method: the parts that never change.
    state: a valid TrainState, the newest if not said otherwise.
    spec: of the data.
    config: of the run; of a member of a population, as if it were alone.
    member: its number in a population, or None.
  """

  algorithm: steps.Algorithm
  method: Any
  state: TrainState
  spec: Spec
  config: ml_collections.ConfigDict
  member: int | None = None

  @property
  def name(self) -> str:
    return self.algorithm.name

  @property
  def has_latents(self) -> bool:
    return self.algorithm.has_latents

  @property
  def classes(self) -> tuple[str, ...]:
    """Names of the classes that images can be asked of, if they can."""
    num = getattr(self.method, 'num_classes', 0) if self.has_latents else 0
    return (self.spec.classes or tuple(map(str, range(num))))[:num]
