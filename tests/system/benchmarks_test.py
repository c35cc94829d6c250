"""The benchmarks: those that take seconds run whole, others in small."""

import ast
import itertools
import json
import os
import pathlib
import subprocess
import sys

import chex
import compilation
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags as absl_flags
from PIL import Image

from benchmarks import (
  cli,
  dirac_game,
  experiment,
  kmeans,
  quality_log,
  stacked_mnist,
  stacked_mnist_settings,
  systems,
  timing,
  variations,
)
from benchmarks import (
  sides as sides_lib,
)
from jaxgan import config as config_lib
from jaxgan import errors, steps
from jaxgan.data import Spec
from jaxgan.modes import evaluate, features
from jaxgan.steps import gan
from jaxgan.training import loop, summary

ROOT = pathlib.Path(__file__).parents[2]


def run(name: str, *flags: str) -> subprocess.CompletedProcess:
  """A benchmark in a process of its own, on one CPU device."""
  return subprocess.run(
    [sys.executable, '-m', f'benchmarks.{name}', *flags],
    cwd=ROOT,
    env=os.environ | compilation.FAST,
    capture_output=True,
    text=True,
  )


def table(text: str) -> dict[str, list[str]]:
  """Cells of a Markdown table by the first of each row."""
  rows = [line for line in text.splitlines() if line.startswith('| ')]
  cells = [[cell.strip() for cell in row.split('|')[1:-1]] for row in rows]
  return {first: others for first, *others in cells}


@pytest.mark.parametrize(
  ('given', 'numbers'),
  [
    ('3', [3]),
    ('64,128', [64, 128]),
    ('a', None),
    ('0', None),
    ('1,-2', None),
    ('', None),
  ],
)
def test_flags_take_positive_integers(given, numbers):
  values = absl_flags.FlagValues()
  flag = cli.define_integers('widths', [1, 2], 'Units.', values)
  values(['x'])
  assert flag.value == [1, 2]
  if numbers:
    values(['x', f'--widths={given}'])
    assert flag.value == numbers
  else:
    with pytest.raises(absl_flags.IllegalFlagValueError, match='--widths='):
      values(['x', f'--widths={given}'])


@pytest.mark.parametrize(
  ('name', 'flag'),
  [
    ('mixtures', '--methods=none'),
    pytest.param('parzen', '--experiment=none', marks=pytest.mark.slow),
    pytest.param('quantile_map', '--seeds=1', marks=pytest.mark.slow),
    pytest.param('kills', '--feeds=none', marks=pytest.mark.slow),
  ],
)
def test_wrong_flags_end_in_a_line(name, flag):
  done = run(name, flag)
  assert done.returncode in (1, 2)  # 1 is that of absl.
  assert 'Traceback' not in done.stderr
  assert flag.partition('=')[2] in done.stderr


def test_all_benchmarks_end_in_a_line_for_errors():
  for path in (ROOT / 'benchmarks').glob('*.py'):
    assert 'app.run(main)' not in path.read_text(), path


@pytest.mark.slow
def test_the_dirac_gan_moves_as_theory_says():
  """Any value that is off ends it with an error."""
  done = run('dirac')
  assert done.returncode == 0, done.stderr
  rows = table(done.stdout)
  # Mescheder et al. 2018, section 3, and the square that R3GAN leaves out.
  assert rows['minimax'][1] == '1.004988 (1.004988)'
  assert rows['minimax + r1 0.3'][1] == '0.974679 (0.974679)'
  assert rows['minimax + r1 1'][0] == '-0.50000, -0.50000 (-0.50000, -0.50000)'
  theta = psi = 1.0
  for _ in range(500):  # Wasserstein, D first; without a penalty by hand.
    psi = psi + 0.2 * theta
    theta = theta - 0.2 * psi
  by_hand = (theta**2 + psi**2) ** 0.5
  assert abs(float(rows['wasserstein'][-1]) - by_hand) < 1e-4


def small(name: str, *flags: str) -> dict[str, list[str]]:
  done = run(name, *flags)
  assert done.returncode == 0, done.stderr
  return table(done.stdout)


@pytest.mark.slow
def test_mixtures_are_beside_an_exact_sampler(tmp_path):
  names = ['non-saturating', 'relativistic, R1 + R2, lazy', 'WGAN-GP']
  done = run(
    'mixtures',
    *('--rounds=16', '--batch_size=8', '--seeds=2', '--mixtures=ring,grid'),
    '--methods=' + ','.join(f'"{name}"' for name in names),
    f'--out={tmp_path}',
  )
  assert done.returncode == 0, done.stderr
  rows = [line.split(' | ') for line in done.stdout.splitlines()]
  rows = {tuple(row[:2]): row[2:] for row in rows if row[0].startswith('| ')}
  for mixture in ('ring', 'grid'):
    for name in names:
      assert (f'| {mixture}', name) in rows
  assert rows['| grid', 'exact sampler'][:2] == ['25.0 ± 0.0', '98.9 ± 0.1%']
  assert len(list(tmp_path.glob('*.png'))) == 6


@pytest.mark.slow
def test_transport_makes_the_map_that_moves_points_least(tmp_path):
  """Without the term the cost is several times the least one."""
  path = tmp_path / 'maps.png'
  done = run('quantile_map', '--rounds=1000', '--seeds=2', f'--picture={path}')
  assert done.returncode == 0, done.stderr
  rows = [line.split(' | ') for line in done.stdout.splitlines()]
  rows = {tuple(row[:2]): row[2:] for row in rows if len(row) == 7}
  cost = {key: row[3].split(' ')[0] for key, row in rows.items()}
  assert float(cost['| 0', '2']) > 2.0
  assert float(cost['| 0.2 to 0.005', '2']) < 1.1
  assert float(rows['| 0.2 to 0.005', '1'][1].split(' ')[0]) < 0.7
  assert Image.open(path).size == (1440, 480)


@pytest.mark.slow
def test_likelihoods_are_beside_the_published_ones():
  rows = small(
    'likelihood',
    *('--source=embedded', '--rounds=20', '--k=1,2'),
    *('--images=20', '--importance_samples=50'),
  )
  assert {'VAE, here', 'IWAE, here', 'IWAE, published'} <= rows.keys()
  # Pixels that are 1 with probability 0.5 have 543 nats.
  assert 100.0 < float(rows['VAE, here'][1].split()[0]) < 600.0


@pytest.mark.slow
def test_parzen_windows_like_centroids():
  rows = small(
    *('parzen', '--source=embedded', '--rounds=10', '--num=500'),
    *('--passes=2', '--seeds=2'),
  )
  nats = {
    name: float(row[0].split()[0])
    for name, row in rows.items()
    if row[2].startswith('0.')  # Others have no bandwidth.
  }
  assert nats['gan_mnist, 10 rounds, 2 seeds, 500 samples'] < 0.0
  assert float(rows['gan_mnist, 10 rounds, 2 seeds, 500 samples'][1]) > 0.0
  assert nats['500 training images'] < nats['500 centroids, 2 passes']


# A benchmark with a classifier that is trained for a moment only.
BRIEF = """
from absl import app
from benchmarks import {name}
from jaxgan import presets
whole = presets.classifier
def small():
  found = whole()
  found.num_steps = 30
  found.network.widths, found.network.features = (8,), 16
  return found
presets.classifier = small
app.run({name}.main)
"""


def briefly(name: str, cache: pathlib.Path, *flags: str):
  """Rows of the table of such a benchmark."""
  done = subprocess.run(
    [sys.executable, '-c', BRIEF.format(name=name), *flags],
    cwd=ROOT,
    env=os.environ | {'XLA_FLAGS': '', 'XDG_CACHE_HOME': str(cache)},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  return table(done.stdout)


@pytest.mark.slow
def test_quality_is_beside_real_images_and_peers(tmp_path):
  """Without `TORCH_PYTHON`, a Python with torch, there are no peers."""
  torch = os.environ.get('TORCH_PYTHON')
  flags = ['--source=embedded', '--seconds=3', '--num=100', '--seeds=2']
  flags += ['--configs=gan_mnist']
  flags += [f'--torch_python={torch}'] * bool(torch)
  rows = briefly('quality', tmp_path, *flags)
  assert 'real training images' in rows
  for side in ('jaxgan', 'PyTorch')[: 2 if torch else 1]:
    rounds, reals, frechet, *_ = rows[f'gan_mnist, {side}']
    assert int(rounds.split()[0].replace(',', '')) > 0
    assert ' to ' in reals
    assert float(frechet.split()[0]) > 0.0
  assert rows['gan_mnist, jaxgan'][-1] == '1.00'


@pytest.mark.slow
def test_quality_over_time_is_logged_once_and_drawn(tmp_path):
  out = tmp_path / 'out'
  flags = ['--source=embedded', '--seconds=4', '--scored=2', '--num=100']
  flags += ['--configs=gan_mnist', '--seeds=1', f'--out={out}']
  for _ in range(2):  # The second call finds all runs in the log.
    briefly('time_to_quality', tmp_path, *flags)
    lines = (out / 'log.jsonl').read_text().splitlines()
    assert [json.loads(line)['index'] for line in lines] == [0, 1]
  assert Image.open(out / 'time_to_quality.png').size[0] > 300


def test_torn_lines_of_a_log_of_quality_are_left_out(tmp_path):
  path = tmp_path / 'log.jsonl'
  path.write_text('{"index": 0}\n{"ind')
  assert quality_log.read(path) == [{'index': 0}]
  assert quality_log.read(tmp_path / 'none') == []


def two_classes(path: pathlib.Path, size: int) -> pathlib.Path:
  """A folder of two folders of grey noise."""
  rng = np.random.default_rng(0)
  for name in ('a', 'b'):
    folder = path / 'images' / name
    folder.mkdir(parents=True)
    for k in range(80):
      pixels = rng.integers(0, 255, (size, size), np.uint8)
      Image.fromarray(pixels).save(folder / f'{k}.png')
  return folder.parent


@pytest.mark.slow
def test_pix2pix_is_beside_true_and_other_images(tmp_path):
  """Edges to photographs, of noise."""
  folder = two_classes(tmp_path, 64)
  flags = [
    f'--path={folder}',
    '--rounds=1',
    f'--out={tmp_path / "rows.png"}',
  ]
  rows = briefly('pix2pix', tmp_path, *flags)
  assert rows['itself'][1:4] == ['0', 'inf', '1']
  assert float(rows['another'][1]) > 0.3
  assert {'L1', 'game', 'L1 + game', 'L1 + game, source unseen'} < rows.keys()
  with Image.open(tmp_path / 'rows.png') as picture:
    assert picture.height > 6 * 64


@pytest.mark.slow
def test_translations_are_between_the_images_of_both_domains(tmp_path):
  config = experiment.changed(
    experiment.load('cyclegan_faces'),
    {
      'num_steps': 1,
      'batch_size': 8,  # one for each device
      'data.path': str(two_classes(tmp_path, 16)),
      'data.image_size': 16,
      'data.classes': ('a', 'b'),
      'generator.widths': (4, 8),
      'generator.blocks': 1,
      'discriminator.widths': (4, 8),
      'sample_every': 0,
      'eval_every': 0,
    },
  )
  loop.train(config, tmp_path / 'run')
  rows = briefly('cyclegan', tmp_path, f'--workdir={tmp_path / "run"}')
  for name, column in ('a', 1), ('b', 2):
    assert abs(float(rows[name][column])) < 1e-6  # Frechet to itself
  for name in ('a -> b -> a', 'b -> a -> b'):
    assert 0.0 < float(rows[name][-1]) < 2.0
  assert float(rows['a -> b'][2]) > 0.0


@pytest.mark.slow
@pytest.mark.skipif(
  'TORCH_PYTHON' not in os.environ, reason='needs a Python with torch'
)
def test_speed_of_a_system_is_beside_its_peer():
  """And a mode that can't run, here for want of a compiler, costs its row."""
  command = [sys.executable, '-m', 'benchmarks.speed', '--systems=vae']
  command += ['--modes=eager,compile', '--turns=1', '--seconds=0.1']
  done = subprocess.run(
    [*command, f'--torch_python={os.environ["TORCH_PYTHON"]}'],
    cwd=ROOT,
    env=os.environ | {'XLA_FLAGS': '', 'CXX': 'no-compiler'},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  lines = [line for line in done.stdout.splitlines() if '| vae |' in line]
  rows = {cells[1]: cells for cells in (x.split(' | ') for x in lines)}
  for side in ('jaxgan', 'PyTorch eager'):
    assert float(rows[side][3].split()[0]) > 0
  assert 'does not run here' in rows['PyTorch compile'][-1]
  assert 'no-compiler' in rows['PyTorch compile'][-1]


needs_keras = pytest.mark.skipif(
  'KERAS_PYTHON' not in os.environ, reason='needs a Python with keras'
)
needs_torch = pytest.mark.skipif(
  'TORCH_PYTHON' not in os.environ, reason='needs a Python with torch'
)


def keras_peer(name, folder, **changed):
  """The Keras side after a round of a system; what jaxgan trains of it."""
  command = [os.environ['KERAS_PYTHON'], 'keras_speed.py', 'graph']
  return peer(command, name, folder, **changed)


def peer(command, name, folder, rounds='1', **changed):
  """A side after a round of a system; what jaxgan trains of it."""
  config = systems.load(name)
  side = config.data.image_size or 28
  spec = Spec((side, side, config.data.channels or 1), num_classes=10)
  task = json.dumps(systems.task_of(config, spec) | changed, default=str)
  (folder / 'task.json').write_text(task)
  images = np.random.default_rng(0).integers(256, size=(80, *spec.shape))
  np.save(folder / 'image.npy', images.astype(np.uint8))
  np.save(folder / 'label.npy', np.arange(80) % 10)
  files = [folder / name for name in ('task.json', 'image.npy', 'label.npy')]
  python, script, mode = command
  script = ROOT / 'benchmarks' / 'peers' / script
  done = subprocess.run(
    [python, script, mode, *files],
    env=os.environ | {'KERAS_BACKEND': 'tensorflow'},
    input=f'{rounds}\n',
    capture_output=True,
    text=True,
  )
  algorithm = steps.find(config.method)
  method = algorithm.from_config(config, spec)
  return done, systems.counts(algorithm, method)


@pytest.mark.slow
@needs_keras
@pytest.mark.parametrize('name', systems.SYSTEMS)
def test_keras_trains_as_many_parameters(name, tmp_path):
  done, counts = keras_peer(name, tmp_path)
  assert done.returncode == 0, done.stderr
  said, took = done.stdout.splitlines()
  assert json.loads(said)['parameters'] == counts
  assert all(float(number) > 0 for number in took.split())


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize('name', [*systems.SYSTEMS, *systems.RECENT])
def test_torch_trains_as_many_parameters(name, tmp_path):
  command = [os.environ['TORCH_PYTHON'], 'torch_speed.py', 'eager']
  done, counts = peer(command, name, tmp_path, rounds='2', batch_size=4)
  assert done.returncode == 0, done.stderr
  said, took = done.stdout.splitlines()
  assert json.loads(said)['parameters'] == counts
  assert all(float(number) > 0 for number in took.split())


@pytest.mark.slow
@needs_keras
def test_keras_refuses_what_it_does_not_have(tmp_path):
  done, _ = keras_peer('gan', tmp_path, loss='hinge')
  assert done.returncode == 1
  last = done.stderr.splitlines()[-1]
  assert last == "error: the Keras peer has no loss='hinge'"


@pytest.mark.slow
@needs_keras
def test_speed_is_beside_keras():
  """And jaxgan's own row has the ratio to the fastest of the other sides."""
  done = run(
    'speed',
    *('--systems=vae', '--modes=graph,steps', '--turns=1', '--seconds=0.1'),
    f'--keras_python={os.environ["KERAS_PYTHON"]}',
  )
  assert done.returncode == 0, done.stderr
  lines = [line for line in done.stdout.splitlines() if '| vae |' in line]
  rows = {cells[1]: cells for cells in (x.split(' | ') for x in lines)}
  rates = {side: float(cells[3].split()[0]) for side, cells in rows.items()}
  assert rates.keys() == {'jaxgan', 'Keras graph', 'Keras steps'}
  ours = rates.pop('jaxgan')
  fastest = max(rates, key=rates.get)
  ratio, *_, beside = rows['jaxgan'][4].partition(' (')
  assert beside.endswith(f'x, {fastest}')
  assert float(ratio) == pytest.approx(ours / rates[fastest], rel=0.02)


@pytest.mark.slow
def test_modes_need_a_peer():
  done = run('speed', '--modes=graph')
  assert done.returncode == 2
  assert done.stderr.splitlines()[-1] == (
    "error: --modes='graph' needs --keras_python"
  )


class Clock:
  """A side that takes as long per round as it is told."""

  granularity = 4

  def __init__(self, name, seconds, calls):
    self.name, self.seconds, self.calls = name, seconds, calls

  def run(self, rounds):
    self.calls.append((self.name, rounds))
    return rounds * self.seconds


def test_sides_take_turns_of_equal_time():
  calls = []
  sides = {k: Clock(k, s, calls) for k, s in (('a', 0.5), ('b', 0.25))}
  rates = timing.take_turns(sides, turns=2, seconds=4.0)
  assert rates == {'a': [2.0, 2.0], 'b': [4.0, 4.0]}
  assert calls[-4:] == [('a', 8), ('b', 16)] * 2  # The first ones compile.
  assert timing.ratios(rates['b'], rates['a']) == [2.0, 2.0]
  assert timing.spread([3.0, 1.0, 2.0]) == '2.0 (1.0 to 3.0)'


@pytest.mark.parametrize('name', [*systems.SYSTEMS, *systems.RECENT])
def test_peers_are_told_the_recipe(name):
  config = systems.load(name, 'plain')
  config.data.image_size = config.data.image_size or 28
  side = config.data.image_size
  task = systems.task_of(config, Spec((side, side, 1), num_classes=10))
  task = json.loads(json.dumps(task, default=str))
  assert task['networks'].keys() == task['optimizers'].keys()
  assert task['batch_size'] == (32 if name in systems.RECENT else 64)
  assert task['r1'] == task['average'] == 0
  assert (task['gradient_penalty'] > 0) == (name == 'wgan_gp')
  assert systems.load('gan').penalties.r1 > 0


def accepted(path):
  """Returns kind -> names of fields that a file of peers reads.

  The file is parsed, because PyTorch and Keras are not installed here.
  """
  tree = ast.parse(path.read_text())
  arguments, kinds, others = {}, {}, ()
  for node in tree.body:
    if isinstance(node, ast.ClassDef):
      node.body[0].name = node.name
      node = node.body[0]  # The constructor comes first.
    if isinstance(node, ast.FunctionDef):
      arguments[node.name] = {x.arg for x in node.args.kwonlyargs}
    elif isinstance(node, ast.Assign):
      name = node.targets[0].id
      if name == 'KINDS':
        for key, value in zip(node.value.keys, node.value.values, strict=True):
          kinds[ast.literal_eval(key)] = value.id
      elif name == 'NOT_LAYERS':
        others = ast.literal_eval(node.value)
  return {kind: arguments[name] | {*others} for kind, name in kinds.items()}


@pytest.mark.parametrize('file', ['keras_networks.py', 'torch_gan.py'])
@pytest.mark.parametrize('name', systems.SYSTEMS)
def test_peers_read_the_fields_of_our_networks(name, file):
  fields = accepted(ROOT / 'benchmarks' / 'peers' / file)
  config = systems.load(name, 'plain')
  config.data.image_size = 28
  task = systems.task_of(config, Spec((28, 28, 1), num_classes=10))
  networks = [x for x in task['networks'].values() if x['kind'] in fields]
  assert networks or file == 'torch_gan.py'  # It has other files, too.
  for network in networks:
    used = {key for key, value in network.items() if value} - {'kind'}
    assert used <= fields[network['kind']], network['kind']


@pytest.mark.parametrize('name', systems.RECENT)
def test_torch_reads_the_fields_of_recent_networks(name):
  fields = {}
  for file in ('torch_resnet.py', 'torch_stylegan2.py', 'torch_r3gan.py'):
    fields |= accepted(ROOT / 'benchmarks' / 'peers' / file)
  config = systems.load(name)
  task = systems.task_of(config, Spec((32, 32, 3), num_classes=10))
  for player, network in task['networks'].items():
    used = {key for key, value in network.items() if value}
    used -= {'kind', 'initializer'}
    assert used <= fields[network['kind']], network['kind']
    is_normed = config[player].spectral_norm
    assert ('spectral_norm' in used) == is_normed, player
  assert task['penalties_every'] == (16 if name == 'stylegan2' else 1)


def test_processor_time_is_counted_of_a_process():
  """Not the time in which the process waits."""
  code = 'import time; input(); sum(range(10**7)); print(1); time.sleep(60)'
  with subprocess.Popen(
    [sys.executable, '-c', code],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    before = sides_lib.processor_seconds(process.pid)
    process.stdin.write('\n')
    process.stdin.flush()
    process.stdout.readline()
    after = sides_lib.processor_seconds(process.pid)
    process.kill()
  assert 0.05 < after - before < 10.0


def test_one_thing_is_varied_at_a_time():
  base = experiment.load('gan_mnist')
  values = {
    'batch_size': ['16'],
    'image_size': ['14'],
    'width': ['0.5'],
    'seeds': ['2'],
    'images': ['500'],
  }
  changed = {
    (varied, value): config_lib.differences(base, config)
    for varied, value, config in variations.rows_of(base, values)
  }
  assert changed.pop(('base', '')) == []
  assert changed == {
    ('batch_size', '16'): ['batch_size: 64 -> 16'],
    ('image_size', '14'): ['data.image_size: 0 -> 14'],
    ('width', '0.5'): [
      f'{player}.widths: [128, 256, 512] -> [64, 128, 256]'
      for player in ('discriminator', 'generator')
    ],
    ('seeds, in turn', '2'): ['seeds: 1 -> 2'],
    ('seeds, together', '2'): ['seeds: 1 -> 2'],
    ('images', '500'): ['data.limit: 0 -> 500'],
  }
  with pytest.raises(errors.UserError, match='--width=wide'):
    list(variations.rows_of(base, {'width': ['wide']}))


@pytest.mark.slow
def test_costs_of_a_round_are_beside_the_base():
  done = run(
    'scaling',
    *('--turns=1', '--seconds=0.01', '--batch_size=128', '--image_size='),
    *('--width=', '--seeds=2', '--images='),
  )
  assert done.returncode == 0, done.stderr
  rows = table(done.stdout)
  assert rows['base'][2] == '1.00 (1.00 to 1.00)'
  assert {'batch_size', 'seeds, in turn', 'seeds, together'} <= rows.keys()
  for _, milliseconds, *_, share in (rows['base'], rows['batch_size']):
    assert float(milliseconds.split()[0]) > 0
    assert 0 < int(share.removesuffix('%')) <= 150


@pytest.mark.slow
def test_streamed_data_are_beside_those_on_the_device():
  done = run(
    'streaming', '--configs=gan_mnist,lsgan_mnist', '--turns=1', '--seconds=0.1'
  )
  assert done.returncode == 0, done.stderr
  rows = table(done.stdout)
  for name in ('gan_mnist', 'lsgan_mnist'):
    data, resident, streamed, images, ratio = rows[name]
    assert data == '4,500 of embedded, (28, 28, 1)'
    resident, streamed, ratio = (
      float(cell.split()[0]) for cell in (resident, streamed, ratio)
    )
    assert ratio == pytest.approx(streamed / resident, rel=0.02)
    images = float(images.replace(',', ''))
    assert images == pytest.approx(streamed * 64, rel=0.02)


def test_centroids_are_means_of_what_is_nearest():
  rng = np.random.default_rng(0)
  centres = np.array([20, 120, 220]).reshape(3, 1, 1, 1)
  images = centres[np.arange(300) % 3] + rng.integers(-9, 10, (300, 2, 2, 1))
  found = kmeans.centroids(images.astype(np.uint8), 3, 2)
  for place in range(3):
    mean = images[place::3].mean(axis=0) / 127.5 - 1.0
    np.testing.assert_allclose(found[place], mean, atol=1e-5)


def test_the_dirac_gan_alternates_as_training_does(key):
  row = next(row for row in dirac_game.ROWS if row.penalty == 'r1')
  game = dirac_game.method(row, 0.2)
  state = gan.init(game, key)
  after, _ = gan.train_step(game, state, {'image': jnp.zeros((1, 1))}, key)
  found = dirac_game.alternating(game, row, state)
  chex.assert_trees_all_equal(found.networks, after.networks)


SHADE = 25  # pixels of a digit that `judge` reads


def judge(images):
  return {'logits': np.eye(10)[images[:, 14, 14, 0] // SHADE]}


def shaded(labels):
  """Images [N, 28, 28, 1] that `judge` reads as labels [N]."""
  labels = np.asarray(labels, np.uint8)[:, None, None, None]
  return np.broadcast_to(SHADE * labels, (len(labels), 28, 28, 1))


def test_stacks_are_read_channel_by_channel():
  found = features.Features('judge', judge)
  images = [
    np.concatenate([shaded([k]) for k in x], -1) for x in ('123', '321')
  ]
  images = np.concatenate(images).repeat([3, 3], axis=0)
  modes, divergence = stacked_mnist.scores(images, found)
  assert modes == 2
  np.testing.assert_allclose(divergence, np.log(500), rtol=1e-5)
  digits = shaded(range(10))
  made = stacked_mnist.stacks(digits, 25_600, 0)
  assert made.spec == Spec((28, 28, 3))
  modes, divergence = stacked_mnist.scores(made.columns['image'], found)
  # All digits are equally frequent: an exact sampler.
  expected = stacked_mnist.exact(25_600)
  assert modes == 1000
  assert round(expected[0], 6) == 1000
  np.testing.assert_allclose(divergence, expected[1], atol=4 * 0.0009)
  others = stacked_mnist.stacks(digits, 25_600, 1)
  assert (made.columns['image'] != others.columns['image']).any()


def conv(kernel, *widths, normed):
  """Parameters of convolutions with biases, and of the norms after some."""
  pairs = list(itertools.pairwise(widths))
  total = sum(kernel**2 * a * b + b for a, b in pairs)
  return total + sum(2 * b for _, b in pairs[normed])


def unrolled(pack, *widths):
  return (
    257 * 4 * 4 * 64 + 2 * 64 + conv(3, 64, 32, 16, 8, 3, normed=slice(3)),
    conv(3, 3 * pack, *widths, normed=slice(3)) + 4 * 4 * widths[-1] + 1,
  )


def pacgan(pack):
  first = 101 * 2 * 2 * 512 + 2 * 512
  generator = conv(5, 512, 256, 128, 64, 3, normed=slice(3))
  discriminator = conv(5, 3 * pack, 64, 128, 256, 512, normed=slice(1, 4))
  return first + generator, discriminator + 2 * 2 * 512 + 1


# setting -> pack -> parameters of both networks by hand, from PacGAN's code.
LAYERS = {
  'unrolled_half': lambda pack: unrolled(pack, 4, 8, 16),
  'unrolled_quarter': lambda pack: unrolled(pack, 2, 4, 8),
  'pacgan': pacgan,
}


@pytest.mark.slow
@pytest.mark.parametrize('setting', LAYERS)
def test_networks_of_stacked_mnist_are_those_of_pacgan(setting):
  for name, pack in {'DCGAN': 1, 'packing of 3': 3}.items():
    config = stacked_mnist_settings.configure(setting, name)
    assert config.num_steps == stacked_mnist_settings.SETTINGS[setting].rounds
    assert config.batch_size == pack * (64 if setting == 'pacgan' else 128)
    method = gan.from_config(config, Spec((28, 28, 3)))
    found = tuple(
      summary.parameter_counts(module, *inputs)[1]
      for module, inputs in gan.modules(method).values()
    )
    assert found == LAYERS[setting](pack)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['packing of 2', 'relativistic, R1 + R2'])
def test_stacks_are_trained_on_and_sampled(name):
  config = stacked_mnist_settings.configure('unrolled_quarter', name, 3)
  assert config.steps_per_call == 1
  made = stacked_mnist.stacks(shaded(range(10)), 600, 0)
  run, _ = experiment.train(config, 0, made)
  assert int(run.state.step) == 3
  images = evaluate.fakes(run, evaluate.Request(20))
  assert images.shape == (20, 28, 28, 3)
  assert images.std() > 0
