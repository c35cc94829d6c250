"""Small dense systems: eight devices train as one."""

import functools

import chex
import jax
import numpy as np
import pytest
from runs import ROOT, module

from jaxgan import data, steps
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib

# Minutes of compilation: `./launch/test.sh -m slow` runs it.
pytestmark = pytest.mark.slow

CONFIGS = ('aae_mnist', 'bigan_mnist', 'rbm_mnist', 'helmholtz_mnist')


def small(name):
  """Returns a config of few units, 16 images and plain descent."""
  config = module(ROOT / 'configs' / f'{name}.py').get_config(
    'ali' if name == 'bigan_mnist' else ''
  )
  config.batch_size = 16
  config.data.update(source='toy', name='random', image_size=8)
  for network in config.values():
    if hasattr(network, 'items') and 'optimizer' in network:
      if 'widths' in network:
        network.widths = (8,)
      if 'norm' in network:
        network.norm = 'none'
      # Plain descent: Adam would turn rounding into signs.
      network.optimizer.update(name='sgd', learning_rate=0.01, b1=0.0)
  return config


@pytest.mark.eight_devices
@pytest.mark.parametrize('engine', ['jit', 'pmap'])
@pytest.mark.parametrize('name', CONFIGS)
def test_eight_devices_equal_one(name, engine):
  config = small(name)
  algorithm, dataset = steps.find(config.method), data.load(config.data)
  found = []
  for devices in (
    devices_lib.make_alone(16),
    devices_lib.make(engine, 16),
  ):
    method = algorithm.from_config(config, dataset.spec)
    init = jax.jit(functools.partial(algorithm.init, method))
    state = devices.replicate(init(jax.random.key(0)))
    call = compile_lib.compile_rounds(
      devices,
      functools.partial(algorithm.train_step, method),
      rounds=1,
      draws=1,
      batch_size=16,
      resident=True,
    )
    arrays = devices.replicate(dataset.arrays())
    for _ in range(3):
      seed = devices.replicate(np.uint32(0))
      state, metrics = call(state, arrays, seed)
    found.append(jax.device_get((state, metrics)))
  chex.assert_trees_all_close(*found, atol=2e-5, rtol=1e-3)
