"""--mode=evaluate: scores of checkpoints.

  python -m jaxgan.main --mode=evaluate --workdir=runs/gan_mnist
  python -m jaxgan.main --mode=evaluate --workdir=runs/gan_mnist --follow

Every checkpoint is one line of `eval.jsonl` in the workdir; every member of a
population has its own line. The name of a number carries its protocol, as in
`frechet/classifier-1f2e/10000-test/10000`: score, features, number of real
images and number of fakes. Fakes come from averaged weights. The table also
has the scores of real training images and of a perfect generator.
"""

import dataclasses
import time
from collections.abc import Iterator

import jax
import numpy as np

from jaxgan import data, errors
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import scores
from jaxgan.metrics.scores import Images
from jaxgan.modes import features as features_lib
from jaxgan.modes import folders, sample
from jaxgan.modes import requests as request_lib
from jaxgan.modes import restore as restore_lib
from jaxgan.training import compile as compile_lib
from jaxgan.training import data_files, writers
from jaxgan.training import devices as devices_lib
from jaxgan.training.trained import Run
from jaxgan.visual import grid

POLL_SECONDS = 5.0
CHUNK = 1_000  # held-out images that an algorithm scores together
SHOWN, NEIGHBOURS = 10, 5  # of the picture of nearest training images
FILE = folders.FILE


@dataclasses.dataclass(frozen=True)
class Request:
  """The flags of --mode=evaluate.

  Attributes:
    num: number of fakes, and largest number of real images.
    seed: seed of the latents and of all draws of scores.
    steps: 'newest', 'all', or steps with commas between them.
    follow: True to score every new checkpoint until the run ends.
    scores: names of rows of `scores.SCORES`; () for all.
    features: name of features, see `scores.is_features`.
    truncation: limit of the latents, see `latents.truncate`; None is off.
    member: member of a population; None for all members.
    data: fields of `config.data` to change.
  """

  num: int = 10_000
  seed: int = 0
  steps: str = 'newest'
  follow: bool = False
  scores: tuple[str, ...] = ()
  features: str = 'classifier'
  truncation: float | None = None
  member: int | None = None
  data: dict | None = None


def check(request: Request) -> None:
  """Raises a UserError for a request that fits no run."""
  request_lib.check_range('num', request.num, 2, scores.MOST_IMAGES)
  request_lib.check_range('seed', request.seed, 0, request_lib.MOST_SEED)
  request_lib.check_truncation(request.truncation)
  scores.rows(request.scores, request.features)


class Judge:
  """Real images, and the features and scores that compare fakes with them.

  Args:
    settings: `config.data` of the runs to score.
    request: the scores and their protocol.
  """

  def __init__(self, settings, request: Request):
    self.request = request
    self.names = scores.rows(request.scores, request.features)
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
    if request.truncation is not None:
      self.protocol += f'-truncation{request.truncation:g}'

  def scores_of(self, run: Run) -> dict[str, float]:
    """Scores the samples of a run, by name and protocol."""
    return self.named(self.score(self.see(fakes(run, self.request))))

  def named(self, values: dict[str, float]) -> dict[str, float]:
    return {f'{name}/{self.protocol}': x for name, x in values.items()}

  def see(self, pixels: np.ndarray) -> Images:
    """Computes the features of images."""
    return self.features.see(pixels)

  def score(self, fake: Images) -> dict[str, float]:
    """Returns scores by short name."""
    return scores.compute(self.real, fake, self.key, self.names)

  def beside(self) -> dict[str, dict[str, float]]:
    """Returns scores of training images, and of a perfect generator."""
    return {
      'train': self.score(self.see(self._train)),
      'ideal': scores.ideal(self.real, self.request.num),
    }

  def neighbours(self, fake: Images) -> np.ndarray:
    """Returns samples above their nearest training images, [rows, columns]."""
    return scores.beside_nearest(fake, self.see(self._train), SHOWN, NEIGHBOURS)


def make_scorer(config, algorithm) -> Judge:
  """Builds the judge of a run from the `eval_*` fields of its config."""
  if not algorithm.has_latents:
    raise errors.UserError(
      f'eval_images={config.eval_images}: method={config.method!r} makes no '
      'images from latents. Set eval_images=0.'
    )
  request = Request(
    config.eval_images,
    scores=tuple(config.eval_scores),
    features=config.eval_features,
  )
  return Judge(config.data, request)


@restore_lib.stores
def evaluate(
  workdir,
  output: str | None = None,
  images: str = '',
  against: str = '',
  **fields,
) -> dict[str, float]:
  """Scores checkpoints, prints a table for each and writes `eval.jsonl`.

  Args:
    workdir: the folder of the run; '' to score the folder `images`.
    output: folder to write to; by default the workdir.
    images: folder of images to score without a run, see `folders.compare`.
    against: folder that `images` is compared with.
    **fields: fields of `Request`.

  Returns:
    The line of the last checkpoint, or of the folder.

  Raises:
    UserError: if there is nothing to score, or a score does not fit the data.
  """
  if images or against:
    return folders.compare(workdir, images, against, output, **fields)
  request = Request(**fields)
  check(request)
  workdir, folder = restore_lib.folders(workdir, output)
  devices_lib.use_compilation_cache()
  devices_lib.use_float32()
  members = [request.member]
  if request.member is None:
    members = list(range(restore_lib.num_members(workdir))) or members
  run = restore_lib.restore(workdir, member=members[0])
  if not run.has_latents:
    for member in members:
      run = restore_lib.restore(workdir, member=member)
      line = _score_held_out(workdir, folder, run, request)
    return line
  sample.refuse_too_many(run, request.num)
  data_files.change(run.config.data, request.data)
  data_files.load(run.config, workdir, spec=run.spec)  # Compares them.
  chosen = restore_lib.named_steps(workdir, request.steps)
  judge = Judge(run.config.data, request)
  beside = judge.beside()
  line = {}
  for step in _steps(workdir, folder, run.config, request, chosen):
    for member in members:
      start = time.monotonic()
      try:
        run = restore_lib.restore(workdir, step, member)
      except errors.UserError:
        if step in restore_lib.steps_of(workdir):
          raise
        break  # The training process has removed this checkpoint.
      line = _score_run(folder, run, judge, beside, start)
  return line


def _score_run(folder, run: Run, judge: Judge, beside, start):
  """Scores a checkpoint, or a member of it, and writes line and picture."""
  step = int(run.state.step)
  fake = judge.see(fakes(run, judge.request))
  values = judge.score(fake)
  line = _head(run) | judge.named(values)
  line['features_error'] = judge.features.error
  line['seconds'] = time.monotonic() - start
  print(_table(_title(run), judge, values, beside), end='\n\n', flush=True)
  writers.append_json_line(folder / FILE, line)
  suffix = '' if run.member is None else f'_member_{run.member:02d}'
  picture = grid.draw(
    pixels_lib.to_float(judge.neighbours(fake)),
    f'{_title(run)}  samples and their {NEIGHBOURS} nearest training images',
  )
  grid.save(folder / f'nearest_step_{step:08d}{suffix}.png', picture)
  return line


def _head(run: Run) -> dict[str, int]:
  """Returns the first fields of a line."""
  step = int(run.state.step)
  member = {} if run.member is None else {'member': run.member}
  return {'step': step, 'images': step * run.config.batch_size, **member}


def _title(run: Run) -> str:
  member = '' if run.member is None else f', member {run.member}'
  return f'step {int(run.state.step):,}{member}'


def fakes(run: Run, request: Request) -> np.ndarray:
  """Returns samples, uint8 [num, H, W, C]; classes, if any, take turns."""
  label = None
  if run.classes:
    label = np.arange(request.num) % len(run.classes)
  return sample.pixels(
    run, request.num, request.seed, label, request.truncation
  )


def _steps(workdir, folder, config, request, chosen) -> Iterator[int]:
  """Yields the chosen steps, then with `follow` also new steps."""
  path = folder / FILE
  lines = writers.read_json_lines(path) if path.exists() else ()
  member = request.member
  done = {x['step'] for x in lines if member in (None, x.get('member'))}
  yield from chosen
  done |= set(chosen)
  while request.follow and max(done, default=0) < config.num_steps:
    new = sorted(set(restore_lib.steps_of(workdir)) - done)
    yield from new
    done |= set(new)
    if not new:
      time.sleep(POLL_SECONDS)


def _score_held_out(workdir, folder, run, request) -> dict[str, float]:
  """Scores a model without latents on held-out images."""
  is_known = request.steps == 'newest' and request.truncation is None
  if not is_known or request.follow or request.scores:
    raise errors.UserError(
      f'method={run.name!r} makes no images from latents and is scored on '
      'held-out images. Remove --steps, --follow, --scores and --truncation.'
    )
  data_files.change(run.config.data, request.data)
  test = data_files.load(run.config, workdir, 'test', run.spec).arrays()
  size = min(request.num, len(test['image']))
  score = compile_lib.jit_method(run.algorithm.evaluate, run.method)
  means = {}
  for start in range(0, size, CHUNK):
    rows = slice(start, min(start + CHUNK, size))
    batch = {k: pixels_lib.to_float(v[rows]) for k, v in test.items()}
    share = len(batch['image']) / size
    for name, value in score(run.state, batch).items():
      means[name] = means.get(name, 0.0) + share * float(value)
  line = _head(run)
  line |= {f'{name}/{size}-test': value for name, value in means.items()}
  title = f'{_title(run)}, {size:,} test images'
  print(scores.table(title, {'score': means}), flush=True)
  writers.append_json_line(folder / FILE, line)
  return line


def _table(title: str, judge: Judge, values, beside) -> str:
  """Returns a table of scores, beside those of `Judge.beside`."""
  error = judge.features.error
  wrong = '' if error is None else f', held-out error {100 * error:.2f}%'
  title = f'{title}, {judge.request.num:,} samples'
  return (
    f'features: {judge.features.name}{wrong}; '
    f'{len(judge.real.pixels):,} real test images\n\n'
    + scores.table(title, {'samples': values, **beside})
  )
