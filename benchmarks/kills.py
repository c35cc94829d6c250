r"""Kills runs at random moments and compares them with runs that no one killed.

  python -m benchmarks.kills --kills=20

Every kind of algorithm is trained on few embedded digits: data on the device,
data streamed, and one of two processes killed. A killed run is started again
after each kill. Both runs must end with the same arrays, records of the last
checkpoint (config, data, pending metrics), lines of metrics, and grids.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from absl import app, flags

from benchmarks import experiment

_KILLS = flags.DEFINE_integer('kills', 20, 'Kills per kind.', lower_bound=1)
_KINDS = flags.DEFINE_list('kinds', [], 'Rows of RUNS; all by default.')
_FEEDS = flags.DEFINE_list(
  'feeds', ['resident', 'streamed'], 'Also: processes.'
)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the moments.')

ROOT = experiment.CONFIGS.parent
COMMON = {
  'data.source': 'embedded',
  'data.limit': 200,
  'data.image_size': 16,
  'num_steps': 120,
  'batch_size': 8,
  'log_every': 20,
  'sample_every': 40,
  'checkpoint_every': 25,
}
_SMALL = {'generator.widths': (8,), 'discriminator.widths': (8,)}
# Kind -> config and fields that make it small.
RUNS = {
  'gan': ('gan_mnist', _SMALL),
  'wgan': ('wgan_mnist:gp', {}),
  'infogan': ('infogan_mnist', {}),
  'vae': ('vae_mnist', {'encoder.widths': (8,), 'decoder.widths': (8,)}),
  'autoencoder': (
    'autoencoder_mnist',
    {'encoder.widths': (8,), 'decoder.widths': (8,)},
  ),
  'classifier': ('classifier_mnist', {'network.widths': (4, 8)}),
  'inpaint': ('ccgan_mnist', {}),
  'pix2pix': (
    'pix2pix_cifar10',
    {'data.name': 'mnist', 'data.channels': 1, 'data.pair': 'low:2'},
  ),
  'cyclegan': (
    'cyclegan_faces',
    {'data.classes': ('0', '1'), 'data.held_out': 0.0, 'generator.blocks': 1},
  ),
}
STREAMED = {'data.resident_bytes': 0}


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


def train(words: list[str], seconds: float | None = None) -> bool:
  """Runs a command and kills it after some seconds; True if it has ended.

  Raises:
    RuntimeError: if the command fails without a kill.
  """
  with subprocess.Popen(
    words,
    cwd=ROOT,
    env=os.environ | {'JAXGAN_PYTHON': sys.executable},
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,  # The processes of a launch script die together.
  ) as process:
    try:
      _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
      os.killpg(process.pid, signal.SIGKILL)
      process.communicate()
      return False
  if process.returncode:
    raise RuntimeError(errors.strip().splitlines()[-1])
  return True


def result(workdir: pathlib.Path) -> dict[str, object]:
  """Returns what two equal runs have in common, by name."""
  steps = [p for p in (workdir / 'checkpoints').iterdir() if p.name.isdecimal()]
  newest = max(steps, key=lambda path: int(path.name))
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


def compare(kind: str, feed: str, kills: int, seed: int) -> tuple[int, list]:
  """Kills a run and compares it; returns the kills, and what differs."""
  moments = random.Random(f'{seed} {kind} {feed}')
  with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    train(command(kind, feed, folder / 'warm'))  # fills the cache of programs
    start = time.monotonic()
    train(command(kind, feed, folder / 'unbroken'))
    whole = time.monotonic() - start
    killed, words = 0, command(kind, feed, folder / 'killed')
    while killed < kills:
      if train(words, moments.uniform(0.2, 1.0) * whole):
        # The run has ended: another one takes the remaining kills.
        if wrong := differences(*map(result, _pair(folder))):
          return killed, wrong
        folder.joinpath('killed').rename(folder / f'ended-{killed}')
      killed += 1
    train(words)
    return killed, differences(*map(result, _pair(folder)))


def _pair(folder: pathlib.Path):
  return folder / 'unbroken', folder / 'killed'


def main(argv) -> None:
  del argv
  print('| kind | data | kills | differs |\n| --- | --- | --- | --- |')
  for kind in _KINDS.value or RUNS:
    for feed in _FEEDS.value:
      killed, wrong = compare(kind, feed, _KILLS.value, _SEED.value)
      print(f'| {kind} | {feed} | {killed} | {"; ".join(wrong)} |', flush=True)


if __name__ == '__main__':
  app.run(main)
