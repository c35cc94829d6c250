"""Tests of bfloat16 in all networks and algorithms."""

import functools
import inspect

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import ROOT, module

from benchmarks import experiment
from jaxgan import config as config_lib
from jaxgan import errors, models
from jaxgan.config import networks as networks_lib
from jaxgan.metrics import wasserstein
from jaxgan.models.layers import norms
from jaxgan.modes import sample
from jaxgan.training import devices as devices_lib
from tests.system.configs_test import FILES, shallow, shrink, small

IMAGE = jnp.zeros((2, 32, 32, 1))
# Of networks that are not as the others of their kind.
LABEL = jnp.zeros(2, int)
TWO = jnp.zeros((2, 32, 32, 2))  # a domain in each channel
BITS = jnp.zeros((2, 8))
INPUTS = {
  'autoencoder.DenseDecoder': (jnp.zeros((2, 8)), LABEL),
  'autoencoder.ConvDecoder': (jnp.zeros((2, 8)),),
  'boltzmann.Generative': (BITS,),
  'boltzmann.Recognition': (IMAGE, BITS),
  'cogan.Discriminator': (TWO,),
  'dit.Generator': (jnp.zeros((2, 32 * 32)), LABEL),
  'srgan.Generator': (jnp.zeros((2, 8, 8, 1)),),
  'vq.Prior': (jnp.zeros((2, 16), int),),
}
# What their algorithms set.
DERIVED = {
  'boltzmann.Generative': {'widths': (4, 4)},
  'boltzmann.Recognition': {'widths': (4, 4)},
  'cogan.Generator': {'shape': (32, 32, 2)},
  'vq.Encoder': {'channels': 4},
  'vq.Codebook': {'codes': 8, 'channels': 1},
  'vq.Prior': {'codes': 8},
}
EXACT = ('vq.Codebook',)  # compares distances in float32
SMALLER = {
  'translate.ResNet': {'widths': (4, 4), 'blocks': 1},
  'translate.UNet': {'widths': (4, 4, 4)},
}
SHAPED = {'shape': (32, 32, 1), 'num_classes': 3}
LATENT = (jnp.zeros((2, 8)), jnp.zeros(2, int))


def inputs_of(name, network):
  takes_label = 'label' in inspect.signature(network.__call__).parameters
  if name in INPUTS:
    return INPUTS[name]
  if takes_label:
    return LATENT if name.endswith('Generator') else (IMAGE, LATENT[1])
  return LATENT[:1] if name.endswith('Generator') else (IMAGE,)


def dtypes(tree):
  kinds = {leaf.dtype for leaf in jax.tree.leaves(tree)}
  return {kind for kind in kinds if jnp.issubdtype(kind, jnp.floating)}


@pytest.mark.parametrize('name', models.known())
def test_networks_compute_in_bfloat16_and_hold_and_give_float32(name):
  settings = {'name': name} | SMALLER.get(name, {})
  derived = SHAPED | DERIVED.get(name, {})
  build = functools.partial(models.build, 'network', settings, **derived)
  full, half = build(), build(dtype=jnp.bfloat16)
  inputs = inputs_of(name, full)

  def run(network, key):
    keys = {'params': key, 'dropout': key}
    return network.init_with_output(keys, *inputs, train=True)

  found = jax.eval_shape(functools.partial(run, half), jax.random.key(0))
  chex.assert_trees_all_equal_shapes_and_dtypes(
    found, jax.eval_shape(functools.partial(run, full), jax.random.key(0))
  )
  output, variables = found
  assert dtypes((output, variables['params'])) == {jnp.dtype('float32')}
  text = str(jax.make_jaxpr(functools.partial(run, half))(jax.random.key(0)))
  products = [
    line
    for line in text.splitlines()
    if 'dot_general' in line or 'conv_general' in line
  ]
  is_half = any(':bf16[' in line for line in products)
  assert is_half or len(products) == 1 or name in EXACT


QUICK = {
  *('gan_mnist', 'autoencoder_mnist', 'vae_mnist', 'classifier_mnist'),
}


@pytest.mark.parametrize(
  'path',
  [
    pytest.param(
      p,
      id=p.stem,
      marks=[] if p.stem in QUICK else [pytest.mark.slow],
    )
    for p in FILES
  ],
)
def test_states_are_the_same_in_every_precision(path):
  """A round is traced, not run: checkpoints fit, and metrics are float32."""
  states = {}
  for precision in ('f32', 'bf16'):
    config = module(path).get_config()
    shrink(config)
    shallow(config)
    config.precision = precision
    config_lib.validate(config)
    dataset, algorithm, method = small(config, path)
    init = functools.partial(algorithm.init, method)
    states[precision] = jax.eval_shape(init, jax.random.key(0))
  batch = {
    name: np.zeros(
      (8 * algorithm.batches_per_round(method), *column.shape[1:]), kind
    )
    for name, column in dataset.arrays().items()
    for kind in [np.int32 if name.endswith('label') else np.float32]
  }
  step = functools.partial(algorithm.train_step, method)
  after, metrics = jax.eval_shape(
    step, states['bf16'], batch, jax.random.key(0)
  )
  for state in (states['bf16'], after):
    chex.assert_trees_all_equal_shapes_and_dtypes(state, states['f32'])
  assert dtypes(metrics) == {jnp.dtype('float32')}


def digits(precision, **fields):
  config = module(ROOT / 'configs' / 'gan_mnist.py').get_config()
  config.update_from_flattened_dict(
    {
      'data.source': 'toy',
      'data.name': 'random',
      'generator.widths': (16,),
      'discriminator.widths': (16,),
      'batch_size': 16,
      'num_steps': 4,
      'steps_per_call': 4,
      'precision': precision,
    }
    | fields
  )
  run, _ = experiment.train(config, seed=0)
  return run


@pytest.mark.slow
def test_rounds_in_bfloat16_are_finite_and_near():
  full, half = digits('f32'), digits('bf16')
  chex.assert_tree_all_finite(half.state)
  for name in ('generator', 'discriminator'):
    one, other = (
      run.state.networks[name].params['Dense_0']['kernel']
      for run in (full, half)
    )
    assert 0 < np.abs(one - other).max() < 5e-3
  with devices_lib.products('tf32'):  # It has no effect on a CPU.
    assert jnp.ones((2, 2)) @ jnp.ones(2) == pytest.approx(2.0)


@pytest.mark.slow
@pytest.mark.trains_long
def test_score_in_bfloat16_is_near():
  """Sliced Wasserstein distance of digits, after too few rounds to be good."""
  fields = {
    'data.source': 'embedded',
    'data.name': 'mnist',
    'generator.widths': (64, 128),
    'discriminator.widths': (128,),
    'batch_size': 64,
    'num_steps': 2_000,
    'steps_per_call': 50,
  }
  scores = {}
  for name, changes in {
    'untrained': {'num_steps': 0},
    'f32': {},
    'bf16': {'precision': 'bf16'},
  }.items():
    run = digits(**({'precision': 'f32'} | fields | changes))
    fake = np.stack(list(sample.draw(run, 500, seed=0)))
    assert np.isfinite(fake).all()
    real = experiment.read(run.config.data).arrays()['image'][:500]
    real = real.astype(np.float32) / 127.5 - 1.0
    key = jax.random.key(0)
    distance = wasserstein.sliced(
      real.reshape(500, -1), fake.reshape(500, -1), key
    )
    scores[name] = float(distance)
  assert scores['f32'] < 0.8 * scores['untrained']
  assert scores['bf16'] == pytest.approx(scores['f32'], rel=0.2)


def test_norms_take_their_statistics_in_float32(key):
  """Squares of bfloat16 would leave nothing of a small deviation."""
  x = 16.0 + jax.random.normal(key, (64, 3))
  x = x.astype(jnp.bfloat16)
  for kind in ('batch', 'virtual'):
    norm = norms.norm(kind, train=True, reference_size=8, dtype=jnp.bfloat16)
    y, _ = norm.init_with_output(key, x)
    assert y.dtype == jnp.bfloat16
    full, _ = norm.clone(dtype=None).init_with_output(
      key, x.astype(jnp.float32)
    )
    np.testing.assert_allclose(y.astype(np.float32), full, atol=0.02)


def test_precision_is_refused_without_a_dtype(monkeypatch):
  config = module(ROOT / 'configs' / 'gan_mnist.py').get_config()
  config.precision = 'f16'
  with pytest.raises(errors.UserError, match=r"precision='f16'.*bf16"):
    config_lib.validate(config)
  assert tuple(networks_lib.PRECISIONS) == config_lib.PRECISIONS

  class Plain(nn.Module):
    pass

  monkeypatch.setattr(models, 'known', lambda: {'mlp.Plain': Plain})
  config.precision, config.generator = 'bf16', {'name': 'mlp.Plain'}
  config.generator.optimizer = config.discriminator.optimizer
  with pytest.raises(errors.UserError, match=r"'dtype'.*mlp\.Plain"):
    networks_lib.build_network(config, 'generator', 64)


def test_old_runs_without_precision_resume():
  config = module(ROOT / 'configs' / 'gan_mnist.py').get_config()
  recorded = config.to_dict()
  del recorded['precision']
  assert not config_lib.differences(recorded, config)
  config.precision = 'bf16'
  assert config_lib.differences(recorded, config) == [
    "precision: 'f32' -> 'bf16'"
  ]
