"""Checkpoints to scores.

  python -m jaxgan.main --mode=evaluate --workdir=runs/gan_mnist
  python -m jaxgan.main --mode=evaluate --workdir=runs/gan_mnist --follow

Every checkpoint asked for is one line of `eval.jsonl` in the workdir, of a
population one for each member. The name
of a number carries its protocol, `frechet/classifier-1f2e/10000-test/10000`:
the score, the features, the real images and the number of fakes, always of
averaged weights. Real training images in the place of fakes, and what a perfect
generator would get, are printed beside it.
"""

import dataclasses
import pathlib
import time
from collections.abc import Iterator

import jax
import numpy as np

from jaxgan import data, errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import scores
from jaxgan.metrics.scores import Images
from jaxgan.modes import features as features_lib
from jaxgan.modes import restore as restore_lib
from jaxgan.modes import sample
from jaxgan.training import devices as devices_lib
from jaxgan.training import run as run_lib
from jaxgan.training import writers
from jaxgan.visual import grid

POLL_SECONDS = 5.0
MOST = 10**7  # fakes: what memory holds ends long before
CHUNK = 1_000  # held-out images that an algorithm scores at a time
SHOWN, NEIGHBOURS = 10, 5  # of the picture of nearest training images
FILE = 'eval.jsonl'


@dataclasses.dataclass(frozen=True)
class Request:
  """What to score: the flags of --mode=evaluate.

  Attributes:
    num: fakes, and at most so many real images.
    seed: of the latents and of whatever a score draws.
    steps: 'newest', 'all', or steps with commas between.
    follow: goes on with every checkpoint that appears, until the run is done.
    scores: names of rows of `scores.SCORES`; () is all.
    features: 'classifier', or 'inception:PATH' of a file of weights.
    member: of a population; all if not given.
  """

  num: int = 10_000
  seed: int = 0
  steps: str = 'newest'
  follow: bool = False
  scores: tuple[str, ...] = ()
  features: str = 'classifier'
  member: int | None = None


class Judge:
  """Real images, and what they are compared by.

  Args:
    settings: `config.data` of the runs to judge.
    request: what to score.
  """

  def __init__(self, settings, request: Request):
    if not 2 <= request.num <= MOST:
      raise errors.UserError(f'--num={request.num} must be in 2..{MOST}')
    if not 0 <= request.seed < 2**32:
      raise errors.UserError(f'--seed={request.seed} must be in 0..2**32 - 1')
    scores.check(request.scores)
    self.request = request
    self.names = request.scores or tuple(scores.SCORES)
    self.features = features_lib.find(request.features, settings)
    self.key = jax.random.key(request.seed)
    train, test = (
      data.load(settings, split).evenly(request.num)['image']
      for split in ('train', 'test')
    )
    self._train, self.real = train, self.see(test)
    self.protocol = (
      f'{self.features.name}/{len(self.real.pixels)}-test/{request.num}'
    )

  def scores_of(self, run: run_lib.Run) -> dict[str, float]:
    """Numbers of a run's samples by name and protocol."""
    return self.named(self.score(self.see(fakes(run, self.request))))

  def named(self, found: dict[str, float]) -> dict[str, float]:
    return {f'{name}/{self.protocol}': value for name, value in found.items()}

  def see(self, pixels: np.ndarray) -> Images:
    found = self.features.call(pixels)
    return Images(pixels, found['features'], found['logits'])

  def score(self, fake: Images) -> dict[str, float]:
    """Numbers by short name."""
    return scores.compute(self.real, fake, self.key, self.names)

  def beside(self) -> dict[str, dict[str, float]]:
    """Scores of training images, and those of a perfect generator."""
    return {
      'train': self.score(self.see(self._train)),
      'ideal': scores.ideal(self.real, self.request.num),
    }

  def neighbours(self, fake: Images) -> np.ndarray:
    """Samples above their nearest training images, [rows, columns, ...]."""
    return scores.beside_nearest(fake, self.see(self._train), SHOWN, NEIGHBOURS)


def make_scorer(config, algorithm) -> Judge:
  """Builds the judge of a run from the `eval_*` fields of its config."""
  if not algorithm.has_latents:
    raise errors.UserError(
      f'eval_images={config.eval_images}: method={config.method!r} makes no '
      'images from latents; set eval_images=0'
    )
  request = Request(
    config.eval_images,
    scores=tuple(config.eval_scores),
    features=config.eval_features,
  )
  return Judge(config.data, request)


def evaluate(workdir, request: Request) -> dict[str, float]:
  """Scores checkpoints, writes `eval.jsonl` and prints a table for each.

  Args:
    workdir: of the run.
    request: what to score.

  Returns:
    The line of the last checkpoint.

  Raises:
    UserError: for what can not be scored.
  """
  workdir = pathlib.Path(workdir).absolute()
  devices_lib.use_compilation_cache()
  devices_lib.use_float32()
  members = [request.member]
  if request.member is None:
    members = list(range(restore_lib.members_of(workdir))) or members
  run = restore_lib.restore(workdir, member=members[0])
  if not run.has_latents:
    line = _held_out(workdir, run, request)
    for member in members[1:]:
      run = restore_lib.restore(workdir, member=member)
      line = _held_out(workdir, run, request)
    return line
  judge = Judge(run.config.data, request)
  beside = judge.beside()
  line = {}
  for step in _steps(workdir, run.config, request):
    for member in members:
      began = time.monotonic()
      try:
        run = restore_lib.restore(workdir, step, member)
      except errors.UserError:
        if step in restore_lib.steps_of(workdir):
          raise
        break  # The run that is followed has removed it since.
      line = _of_checkpoint(workdir, run, judge, beside, began)
  return line


def _of_checkpoint(workdir, run: run_lib.Run, judge: Judge, beside, began):
  """The line of one checkpoint, or of a member's part of it; written."""
  step = int(run.state.step)
  fake = judge.see(fakes(run, judge.request))
  found = judge.score(fake)
  line = _head(run) | judge.named(found)
  line['features_error'] = judge.features.error
  line['seconds'] = time.monotonic() - began
  writers.append_json_line(workdir / FILE, line)
  suffix = '' if run.member is None else f'_member_{run.member:02d}'
  picture = grid.draw(
    pixels_lib.to_float(judge.neighbours(fake)),
    f'{_title(run)}  samples and their {NEIGHBOURS} nearest training images',
  )
  grid.save(workdir / f'nearest_step_{step:08d}{suffix}.png', picture)
  print(_table(_title(run), judge, found, beside), end='\n\n', flush=True)
  return line


def _head(run: run_lib.Run) -> dict[str, int]:
  """What a line is of."""
  step = int(run.state.step)
  head = {'step': step, 'images': step * run.config.batch_size}
  return head if run.member is None else head | {'member': run.member}


def _title(run: run_lib.Run) -> str:
  title = f'step {int(run.state.step):,}'
  return title if run.member is None else f'{title}, member {run.member}'


def fakes(run: run_lib.Run, request: Request) -> np.ndarray:
  """Samples uint8 [num, H, W, C], of all classes in turn if there are any."""
  label = None
  if run.classes:
    label = np.arange(request.num) % len(run.classes)
  images = sample.draw(run, request.num, request.seed, label)
  return np.stack([pixels_lib.to_uint8(image) for image in images])


def _steps(workdir, config, request: Request) -> Iterator[int]:
  """Steps to score, oldest first; with `follow`, also those yet to come."""
  known = restore_lib.steps_of(workdir)
  if request.steps == 'newest':
    chosen = known[:1]
  elif request.steps == 'all':
    chosen = known
  else:
    chosen = []
    for part in request.steps.split(','):
      if not part.strip().isdecimal() or int(part) not in known:
        raise errors.UserError(
          f'--steps={request.steps}: there is no checkpoint {part!r}; known '
          f'are {sorted(known)}, all and newest'
        )
      chosen.append(int(part))
  path = workdir / FILE
  done = {
    line['step']
    for line in (writers.read_json_lines(path) if path.exists() else ())
    if request.member is None or line.get('member') == request.member
  }
  yield from sorted(chosen)
  done |= set(chosen)
  while request.follow and max(done, default=0) < config.num_steps:
    new = sorted(set(restore_lib.steps_of(workdir)) - done)
    yield from new
    done |= set(new)
    if not new:
      time.sleep(POLL_SECONDS)


def _held_out(workdir, run: run_lib.Run, request: Request) -> dict[str, float]:
  """Scores of what makes no images from latents: its own, on held-out ones."""
  if request.steps != 'newest' or request.follow or request.scores:
    raise errors.UserError(
      f'method={run.name!r} makes no images from latents: it has the scores of '
      'its held-out images alone; leave --steps, --follow and --scores out'
    )
  test = data.load(run.config.data, 'test').arrays()
  size = min(request.num, len(test['image']))
  judge = jax.jit(run.algorithm.evaluate, static_argnums=0)
  found = {}
  for start in range(0, size, CHUNK):
    rows = slice(start, min(start + CHUNK, size))
    batch = {k: pixels_lib.to_float(v[rows]) for k, v in test.items()}
    share = len(batch['image']) / size
    for name, value in judge(run.method, run.state, batch).items():
      found[name] = found.get(name, 0.0) + share * float(value)
  line = _head(run)
  line |= {f'{name}/{size}-test': value for name, value in found.items()}
  writers.append_json_line(workdir / FILE, line)
  rows = [[name, f'{value:.4g}'] for name, value in found.items()]
  print(_markdown([f'{_title(run)}, {size:,} test images', 'score'], rows))
  return line


def _table(title: str, judge: Judge, found, beside) -> str:
  """Scores with what training images and a perfect generator get."""
  kinds = {'samples': found, **beside}
  rows = [
    [name, *(f'{k[name]:.4g}' if name in k else '' for k in kinds.values())]
    for name in found
  ]
  title = f'{title}, {judge.request.num:,} samples'
  error = judge.features.error
  wrong = '' if error is None else f', held-out error {100 * error:.2f}%'
  return (
    f'features: {judge.features.name}{wrong}; '
    f'{len(judge.real.pixels):,} real test images\n\n'
    + _markdown([title, *kinds], rows)
  )


def _markdown(head: list[str], rows: list[list[str]]) -> str:
  lines = [head, ['---'] * len(head), *rows]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
