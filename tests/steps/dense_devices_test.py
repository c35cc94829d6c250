"""Small dense systems: eight devices train as one."""

import chex
import pytest
import rounds
from runs import ROOT, module

from jaxgan import data, steps
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
  found = [
    rounds.after_three(devices, config, algorithm, dataset)
    for devices in (devices_lib.make_alone(16), devices_lib.make(engine, 16))
  ]
  chex.assert_trees_all_close(*found, atol=2e-5, rtol=1e-3)
