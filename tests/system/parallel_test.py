"""One device and eight give the same run, on either engine."""

import functools

import chex
import games
import jax
import numpy as np
import optax
import pytest

from jaxgan import config as config_lib
from jaxgan import errors, gan
from jaxgan.adversarial import losses, penalties
from jaxgan.data import stream
from jaxgan.data.sources import toy
from jaxgan.models import mlp
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib

pytestmark = pytest.mark.eight_devices

BATCH, ROUNDS, SEED = 16, 4, 3


def random_images():
  settings = config_lib.defaults().data
  settings.name = 'random'
  return toy.load(settings, 'train')


@pytest.fixture(scope='module')
def dataset():
  return random_images()


def make(dataset, **fields) -> gan.GAN:
  # Plain descent: Adam would turn rounding into signs.
  optimizers = {
    f'{player}_optimizer': optax.sgd(0.05)
    for player in ('generator', 'discriminator')
  }
  return gan.GAN(
    mlp.Generator(dataset.spec.shape, (16, 16)),
    mlp.Discriminator((16, 16)),
    **optimizers,
    **games.fields(latent_size=8, ema_halflife=50.0, **fields),
  )


def train(engine, dataset, *, rounds_per_call=1, resident=True, **fields):
  method = make(dataset, **fields)
  draws = gan.batches_per_round(method)
  state = engine.replicate(gan.init(method, jax.random.key(SEED)))
  call = compile_lib.compile_rounds(
    engine,
    functools.partial(gan.train_step, method),
    rounds=rounds_per_call,
    draws=draws,
    batch_size=BATCH,
    resident=resident,
  )
  seed = engine.replicate(np.uint32(SEED))
  data = engine.replicate(dataset.arrays())
  batches = stream.rounds(dataset, SEED, BATCH, draws, 0, ROUNDS)
  metrics = []
  for _ in range(ROUNDS // rounds_per_call):
    if not resident:
      stacked = [next(batches) for _ in range(rounds_per_call)]
      data = engine.split(
        {
          name: np.stack([b[name] for b in stacked]).reshape(
            rounds_per_call, draws, BATCH, *stacked[0][name].shape[1:]
          )
          for name in stacked[0]
        }
      )
    state, found = call(state, data, seed)
    metrics.append(found)
  metrics = jax.tree.map(lambda *m: np.concatenate(m), *metrics)
  return jax.device_get(state), metrics


def one_device():
  return devices_lib.make_alone(BATCH)


VARIANTS = {
  'plain': {'loss': losses.PAIRS['relativistic_pairing']},
  'means over the batch': {
    'loss': losses.PAIRS['relativistic_average'],
    'top_k': 0.5,
  },
  'two updates and penalties': {
    'discriminator_steps': 2,
    'penalties': tuple((p, 0.5) for p in penalties.PENALTIES.values()),
  },
}


@functools.cache
def on_one_device(variant):
  return train(one_device(), random_images(), **VARIANTS[variant])


# Of each engine one case by default.
QUICK = ('jit', 'plain'), ('pmap', 'two updates and penalties')


@pytest.mark.parametrize(
  ('name', 'variant'),
  [
    pytest.param(
      name,
      variant,
      marks=[] if (name, variant) in QUICK else [pytest.mark.slow],
    )
    for name in ('jit', 'pmap')
    for variant in VARIANTS
  ],
)
def test_eight_devices_equal_one(name, variant, dataset):
  fields = VARIANTS[variant]
  one, one_metrics = on_one_device(variant)
  engine = devices_lib.make(name, BATCH)
  assert engine.num_devices == 8
  many, many_metrics = train(engine, dataset, **fields)
  chex.assert_trees_all_close(many, one, atol=2e-5, rtol=1e-4)
  chex.assert_trees_all_close(many_metrics, one_metrics, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
  'name', [pytest.param('jit', marks=pytest.mark.slow), 'pmap']
)
def test_streaming_equals_resident(name, dataset):
  engine = devices_lib.make(name, BATCH)
  fields = {'discriminator_steps': 2}
  resident, _ = train(engine, dataset, **fields)
  streamed, _ = train(
    engine, dataset, resident=False, rounds_per_call=2, **fields
  )
  chex.assert_trees_all_close(streamed, resident, atol=1e-5)


def test_streaming_on_one_device_is_bit_for_bit_the_same(dataset):
  resident, _ = train(one_device(), dataset)
  streamed, _ = train(one_device(), dataset, resident=False)
  chex.assert_trees_all_equal(streamed, resident)


def test_several_rounds_a_call(dataset):
  one, one_metrics = train(one_device(), dataset)
  many, many_metrics = train(one_device(), dataset, rounds_per_call=4)
  chex.assert_trees_all_close(many, one, atol=1e-5)
  assert many_metrics['generator/loss'].shape == (ROUNDS,)
  chex.assert_trees_all_close(many_metrics, one_metrics, atol=1e-4)


@pytest.mark.parametrize('name', ['jit', 'pmap'])
def test_state_is_donated_and_never_stacked(name, dataset):
  engine = devices_lib.make(name, BATCH)
  method = make(dataset)
  init = jax.jit(
    functools.partial(gan.init, make(dataset)),
    out_shardings=engine.replicated,
  )
  state = init(jax.random.key(0))
  call = compile_lib.compile_rounds(
    engine,
    functools.partial(gan.train_step, method),
    rounds=1,
    draws=1,
    batch_size=BATCH,
    resident=True,
  )
  data = engine.replicate(dataset.arrays())
  after, _ = call(state, data, engine.replicate(np.uint32(0)))
  chex.assert_trees_all_equal_shapes(after, jax.eval_shape(lambda: after))
  assert after.networks['generator'].params['Dense_0']['kernel'].shape[0] == 8
  assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))


def test_a_call_is_compiled_once(dataset):
  """Neither the first state nor what a call returns compiles it again."""
  engine = one_device()
  method = make(dataset)
  compiled = []

  def step(state, batch, key):
    compiled.append(1)
    return gan.train_step(method, state, batch, key)

  call = compile_lib.compile_rounds(
    engine, step, rounds=1, draws=1, batch_size=BATCH, resident=True
  )
  init = functools.partial(gan.init, method)
  state = jax.jit(init, out_shardings=engine.replicated)(jax.random.key(0))
  data = engine.replicate(dataset.arrays())
  seed = engine.replicate(np.uint32(0))
  for _ in range(3):
    state, _ = call(state, data, seed)
  assert len(compiled) == 1


def test_calls_move_nothing_between_host_and_device(dataset):
  engine = one_device()
  method = make(dataset)
  state = engine.replicate(gan.init(method, jax.random.key(0)))
  call = compile_lib.compile_rounds(
    engine,
    functools.partial(gan.train_step, method),
    rounds=2,
    draws=1,
    batch_size=BATCH,
    resident=True,
  )
  data = engine.replicate(dataset.arrays())
  seed = engine.replicate(np.uint32(0))
  with jax.transfer_guard('disallow'):
    state, _ = call(state, data, seed)
    with pytest.raises(Exception, match=r'[Dd]isallowed'):
      call(state, data, np.uint32(0))


def test_a_batch_that_can_not_be_divided_is_refused():
  with pytest.raises(errors.UserError, match=r'batch_size=12.*8 devices'):
    devices_lib.make('auto', 12)


def test_auto_is_jit_on_one_device_and_pmap_on_several():
  assert devices_lib.make('auto', 8).name == 'pmap'
  assert devices_lib.make('auto', 8, jax.devices()[:1]).name == 'jit'
