"""A state that eight devices split is the state of a run that is not split."""

import functools
import pathlib
import shutil

import chex
import jax
import pytest
from runs import ROOT, module, small

from jaxgan import errors, steps
from jaxgan.core import shards
from jaxgan.data import Spec
from jaxgan.training import checkpoint, dry_run, loop, operations
from jaxgan.training import devices as devices_lib
from jaxgan.training import run as run_lib

pytestmark = pytest.mark.eight_devices

# A large eps: otherwise Adam would turn rounding into signs.
COMMON = {
  f'{player}.{name}': value
  for player in ('generator', 'discriminator')
  for name, value in (
    ('optimizer.eps', 1e-2),
    ('optimizer.learning_rate', 1e-3),
    ('optimizer.clip_gradient', 1.0),
  )
} | {
  'engine': 'jit',
  'sample_every': 0,
  'num_steps': 4,
  'checkpoint_every': 2,
  'log_every': 2,
  'ema_halflife': 100.0,
}
DENSE = {'generator.widths': (256,), 'discriminator.widths': (256,)}


def dense(**fields):
  """R1 is on, so gradients of gradients are split too."""
  return small(**(COMMON | DENSE | fields))


def convolutional(**fields):
  config = module(ROOT / 'configs' / 'dcgan_mnist.py').get_config()
  config.update_from_flattened_dict(
    COMMON
    | {
      'data.source': 'toy',
      'data.name': 'random',
      'generator.widths': (64, 32),
      'discriminator.widths': (32, 64),
      'batch_size': 16,
      'steps_per_call': 2,
      'latent_size': 8,
      'schedules': '',
    }
    | fields
  )
  return config


CONFIGS = {
  'dense': dense,
  'convolutional': convolutional,
}


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """Returns the workdir of a finished run, split or not."""

  @functools.cache
  def train(kind, is_split):
    workdir = tmp_path_factory.mktemp(kind) / 'run'
    loop.train(CONFIGS[kind](shard_parameters=is_split), workdir)
    return workdir

  return train


def state_of(workdir):
  return checkpoint.load(workdir, None)[0]


def assert_close(ours, theirs):
  chex.assert_trees_all_close(ours, theirs, atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize(
  'kind', ['dense', pytest.param('convolutional', marks=pytest.mark.slow)]
)
def test_split_run_equals_the_run_that_is_not_split(kind, runs):
  assert_close(state_of(runs(kind, True)), state_of(runs(kind, False)))


@pytest.mark.parametrize('first', [True, False])
def test_run_resumes_with_and_without_split_state(first, runs, tmp_path):
  workdir = tmp_path / 'run'
  shutil.copytree(runs('dense', first), workdir)
  shutil.rmtree(workdir / 'checkpoints' / '4')
  loop.train(dense(shard_parameters=not first), workdir)
  assert_close(state_of(workdir), state_of(runs('dense', False)))


def built(**fields):
  run = run_lib.Training(dense(**fields), pathlib.Path('nowhere'))
  run.build()
  return run


def test_each_device_holds_an_eighth_of_large_arrays():
  run = built(shard_parameters=True)
  run.initialize()
  run.compile()
  for _ in range(2):  # the first state, and the state after rounds
    large = [
      x for x in jax.tree.leaves(run.states.arrays) if x.size >= shards.LEAST
    ]
    # A kernel of each network with both moments, and the average of one.
    assert len(large) == 3 + 3 + 1
    for x in large:
      assert [part.data.nbytes * 8 for part in x.addressable_shards] == [
        x.nbytes
      ] * 8
    run.advance(2)
  assert shards.num_bytes(run.states.arrays, 8) == sum(
    x.addressable_shards[0].data.nbytes
    for x in jax.tree.leaves(run.states.arrays)
  )


def test_devices_split_the_work_and_gather_parameters():
  """The batch stays where it is, and each device updates its parts."""
  found = {}
  for is_split in (False, True):
    found[is_split] = operations.lower(
      built(shard_parameters=is_split)
    ).compile()
  flops = {k: v.cost_analysis()['flops'] for k, v in found.items()}
  assert flops[True] < flops[False]
  sizes = {
    k: v.memory_analysis().argument_size_in_bytes for k, v in found.items()
  }
  assert sizes[True] < sizes[False]
  kinds = {kind for kind, _ in operations.traffic(found[True].as_text())}
  assert 'all-gather' in kinds


def test_init_from_takes_weights_of_a_split_run(runs):
  run = built(shard_parameters=True, init_from=str(runs('dense', False)))
  run.initialize()
  expected = state_of(runs('dense', False))['networks']['generator']['params']
  network = run.states.arrays.networks['generator']
  chex.assert_trees_all_equal(jax.device_get(network.params), expected)
  kernel = max(jax.tree.leaves(network.params), key=lambda x: x.size)
  assert kernel.addressable_shards[0].data.size * 8 == kernel.size


@pytest.mark.parametrize(
  'fields', [{'engine': 'pmap'}, {'engine': 'auto', 'seeds': 2}]
)
def test_split_state_is_refused_where_states_are_whole(fields, tmp_path):
  config = dense(shard_parameters=True, **fields)
  with pytest.raises(errors.UserError, match='shard_parameters=True') as found:
    loop.train(config, tmp_path / 'run')
  assert '\n' not in str(found.value)


def test_auto_is_jit_if_the_state_is_split():
  assert devices_lib.make('auto', 8, splits_state=True).name == 'jit'


def test_dry_run_says_bytes_of_the_state():
  table = dry_run.state(built(shard_parameters=True))
  rows = dict(
    line.strip().split('  ', 1) for line in table.splitlines() if '  ' in line
  )
  whole = float(rows['whole'].split()[0])
  own = float(rows['of this run'].split()[0])
  assert own < whole / 4
  assert rows['split over TPU v5e-8'].strip().startswith(f'{own:g} kB of 16')


# Bytes of the whole state, and of an eighth. Parameters and two moments are
# 12 bytes, and the generator's average is 4.
STATES = {
  'gat_mnist:paper_xl': ((28, 28, 1), 601_817_936, 457_169_728, 1.901e9),
  'cat_cifar10:paper_h': ((32, 32, 3), 959_335_920, 95_073_280, 2.073e9),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', STATES)
def test_states_of_the_largest_networks_fit_when_split(name):
  shape, *counts, eighth = STATES[name]
  file, _, variant = name.partition(':')
  config = module(ROOT / 'configs' / f'{file}.py').get_config(variant)
  algorithm = steps.find(config.method)
  spec = Spec(shape, 10, tuple('0123456789'))
  method = algorithm.from_config(config, spec)
  init = functools.partial(algorithm.init, method)
  state = jax.eval_shape(init, jax.random.key(0))
  found = [
    sum(x.size for x in jax.tree.leaves(state.networks[player].params))
    for player in ('generator', 'discriminator')
  ]
  assert found == counts
  whole = 16 * counts[0] + 12 * counts[1]
  assert shards.num_bytes(state) == pytest.approx(whole, abs=100)
  assert shards.num_bytes(state, 8) == pytest.approx(eighth, rel=1e-3)


def test_one_device_has_the_whole_state():
  one = devices_lib.make('auto', 8, jax.devices()[:1], splits_state=True)
  assert not one.splits_state
  assert one.parts == 1
