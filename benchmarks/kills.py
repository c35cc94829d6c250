r"""Kills runs at random moments and compares them with runs that no one killed.

  python -m benchmarks.kills --kills=20 --feeds=resident,streamed,processes

Every kind of algorithm is trained on few embedded digits: data on the device,
data streamed, and two processes, which are killed together. A run is killed
after a random number of its writes, a random part of a second later, and
started again. Both runs must end with the same arrays, records of the last
checkpoint (config, data, pending metrics), lines of metrics, and grids.
"""

import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from absl import flags

from benchmarks import cli, experiment
from jaxgan import config as config_lib

_KILLS = flags.DEFINE_integer('kills', 20, 'Kills per kind.', lower_bound=1)
_KINDS = flags.DEFINE_list('kinds', [], 'Rows of RUNS; all by default.')
_FEEDS = flags.DEFINE_list(
  'feeds', ['resident', 'streamed'], 'Also: processes.'
)
_SEED = flags.DEFINE_integer('random_seed', 0, 'Seed of the moments.')

ROOT = experiment.CONFIGS.parent
COMMON = {
  'data.source': 'embedded',
  'data.limit': 200,
  'data.image_size': 16,
  'num_steps': 120,
  'batch_size': 8,
  'log_every': 5,
  'sample_every': 40,
  'checkpoint_every': 25,
}
LATEST = 0.2  # seconds between a write and a kill, at most
_SMALL = {'generator.widths': (8,), 'discriminator.widths': (8,)}
_DEEP = {'generator.widths': (8, 4), 'discriminator.widths': (4, 8)}
# Kind -> config and fields that make it small; see `_others`.
RUNS = {
  'gan': ('gan_mnist', _SMALL),
  'wgan': ('wgan_mnist:gp', _DEEP),
  'infogan': ('infogan_mnist', _DEEP),
  'vae': ('vae_mnist', {'encoder.widths': (8,), 'decoder.widths': (8,)}),
  'autoencoder': (
    'autoencoder_mnist',
    {'encoder.widths': (8,), 'decoder.widths': (8,)},
  ),
  'classifier': ('classifier_mnist', {'network.widths': (4, 8)}),
  'inpaint': (
    'ccgan_mnist',
    {'generator.widths': (4, 8, 8, 8), 'discriminator.widths': (4, 8, 8)},
  ),
  'adversarial_flow': (
    'afm_mnist',
    {
      'latent_size': 16 * 16,
      'generator.width': 8,
      'discriminator.width': 8,
      'generator.depth': 1,
      'discriminator.depth': 1,
      'generator.heads': 2,
      'discriminator.heads': 2,
    },
  ),
  'pix2pix': (
    'pix2pix_cifar10',
    {
      'data.name': 'mnist',
      'data.channels': 1,
      'data.pair': 'low:2',
      'generator.widths': (4, 8, 8, 8),
      'discriminator.widths': (4, 8),
    },
  ),
  'cyclegan': (
    'cyclegan_faces',
    {
      'data.classes': ('0', '1'),
      'data.held_out': 0.0,
      'generator.widths': (4, 8, 8),
      'generator.blocks': 1,
      'discriminator.widths': (4, 8, 8),
    },
  ),
}
STREAMED = {'data.resident_bytes': 0}
DIGITS = {'data.name': 'mnist', 'data.channels': 1, 'data.held_out': 0.0}


def _others() -> dict:
  """Returns a row for every method that has none, with few units."""
  known = {experiment.load(name).method for name, _ in RUNS.values()}
  rows = {}
  for path in sorted(experiment.CONFIGS.glob('*.py')):
    config = experiment.load(path.stem)
    if config.method in known | rows.keys():
      continue
    fields = {
      name: (8,) * len(value)
      for name, value in config_lib.flatten(config).items()
      if name.endswith('.widths')
    }
    rows[config.method] = (path.stem, DIGITS | fields)
  return rows


RUNS |= _others()
FEEDS = ('resident', 'streamed', 'processes')


def command(kind: str, feed: str, workdir: pathlib.Path) -> list[str]:
  """Returns the command that trains a kind in a workdir."""
  name, fields = RUNS[kind]
  fields = COMMON | fields | (STREAMED if feed == 'streamed' else {})
  file, _, variant = name.partition(':')
  start = [sys.executable, '-m', 'jaxgan.main']
  if feed == 'processes':
    start = [str(ROOT / 'launch' / 'multiprocess.sh'), '-n', '2']
  return [
    *start,
    f'--config={experiment.CONFIGS / file}.py:{variant}',
    f'--workdir={workdir}',
    *(f'--config.{name}={value}' for name, value in fields.items()),
  ]


@contextlib.contextmanager
def _started(words: list[str]):
  """Starts a command; raises a RuntimeError if it fails without a kill."""
  with tempfile.TemporaryFile('w+') as errors:
    process = subprocess.Popen(
      words,
      cwd=ROOT,
      env=os.environ | {'JAXGAN_PYTHON': sys.executable},
      stdout=subprocess.DEVNULL,
      stderr=errors,
      start_new_session=True,  # The processes of a launch script die together.
    )
    try:
      yield process
    finally:
      if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode not in (0, -signal.SIGKILL):
      errors.seek(0)
      raise RuntimeError(errors.read().strip().splitlines()[-1])


def train(words: list[str]) -> None:
  """Runs a command to its end."""
  with _started(words) as process:
    process.wait()


def _event_bytes(workdir: pathlib.Path) -> int:
  """Returns the size of the event files; every line and grid is flushed."""
  return sum(p.stat().st_size for p in (workdir / 'tensorboard').glob('*'))


def kill(words, workdir: pathlib.Path, writes: int, seconds: float) -> bool:
  """Runs a command and kills it.

  Args:
    words: the command.
    workdir: the folder of the run.
    writes: lines and grids that the command writes before the kill.
    seconds: time between the last write and the kill.

  Returns:
    False if the command has ended before.
  """
  size = _event_bytes(workdir)
  with _started(words) as process:
    while writes and process.poll() is None:
      time.sleep(0.01)
      if (now := _event_bytes(workdir)) != size:
        size, writes = now, writes - 1
    with contextlib.suppress(subprocess.TimeoutExpired):
      process.wait(seconds)
  return process.returncode != 0


def _step(workdir: pathlib.Path) -> int:
  """Returns the step of the newest checkpoint, or 0."""
  folders = (workdir / 'checkpoints').glob('[0-9]*')
  return max((int(p.name) for p in folders if p.name.isdecimal()), default=0)


def result(workdir: pathlib.Path) -> dict[str, object]:
  """Returns what two equal runs have in common, by name."""
  newest = workdir / 'checkpoints' / str(_step(workdir))
  items = {
    item: json.loads((newest / item / 'metadata').read_text())
    for item in ('integrity', 'meta')
  }
  record = items['meta']
  parts = {f'record: {name}': value for name, value in record.items()}
  parts['arrays'] = items['integrity']
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  parts['lines'] = [
    {k: v for k, v in json.loads(line).items() if k != 'steps_per_second'}
    for line in lines
  ]
  for path in sorted((workdir / 'samples').iterdir()):
    parts[f'grid: {path.name}'] = path.read_bytes()
  return parts


def differences(one, other) -> list[str]:
  """Names the parts of two results that differ."""
  names = sorted(one.keys() | other.keys())
  return [name for name in names if one.get(name) != other.get(name)]


def compare(
  kind: str, feed: str, kills: int, seed: int, finish=train
) -> tuple[int, list]:
  """Kills a run and compares it with a run that no one killed.

  Args:
    kind: a key of `RUNS`.
    feed: 'resident', 'streamed' or 'processes'.
    kills: number of kills.
    seed: seed of the moments.
    finish: runs a command to its end.

  Returns:
    The number of kills, and what differs.
  """
  moments = random.Random(f'{seed} {kind} {feed}')
  with tempfile.TemporaryDirectory() as folder:
    unbroken, killed = (pathlib.Path(folder, k) for k in ('unbroken', 'killed'))
    finish(command(kind, feed, unbroken))
    words, count, ended = command(kind, feed, killed), 0, 0
    while count < kills:
      rounds = COMMON['num_steps'] - _step(killed)
      writes = moments.randint(0, rounds // COMMON['log_every'])
      if kill(words, killed, writes, moments.uniform(0.0, LATEST)):
        count += 1
        continue
      # The run has ended: another one takes the remaining kills.
      if wrong := differences(result(unbroken), result(killed)):
        return count, wrong
      ended += 1
      killed.rename(killed.with_name(f'ended-{ended}'))
    finish(words)
    return count, differences(result(unbroken), result(killed))


def main(argv) -> None:
  del argv
  kinds = _KINDS.value or RUNS
  cli.check_names('kinds', kinds, RUNS)
  cli.check_names('feeds', _FEEDS.value, FEEDS)
  print('| kind | data | kills | differs |\n| --- | --- | --- | --- |')
  for kind in kinds:
    for feed in _FEEDS.value:
      killed, wrong = compare(kind, feed, _KILLS.value, _SEED.value)
      print(f'| {kind} | {feed} | {killed} | {"; ".join(wrong)} |', flush=True)


if __name__ == '__main__':
  cli.run(main)
