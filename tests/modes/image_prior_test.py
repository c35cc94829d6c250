"""Priors of searches for latents."""

import jax
import jax.numpy as jnp
import pytest
from runs import ROOT, module

from jaxgan import steps
from jaxgan.modes import image_prior
from tests.system.configs_test import small


def first_configs():
  """Returns the first config of every algorithm that has latents."""
  paths = {}
  for path in sorted((ROOT / 'configs').glob('*.py')):
    paths.setdefault(module(path).get_config().method, path)
  return {k: v for k, v in paths.items() if steps.find(k).has_latents}


@pytest.mark.parametrize(('name', 'path'), first_configs().items())
def test_prior_takes_images_that_the_algorithm_makes(name, path):
  del name
  config = module(path).get_config()
  _, algorithm, method = small(config, path)

  def loss(key):
    state = algorithm.use_ema_weights(method, algorithm.init(method, key))
    z = jnp.zeros((2, method.latents.size))
    image = algorithm.decode(method, state, z)
    prior, _ = image_prior.of_method(method, algorithm, state)
    has_classes = getattr(method, 'num_classes', 0)
    label = (jnp.zeros(2, int),) if has_classes else ()
    return prior(z, image, *label)

  assert jax.eval_shape(loss, jax.random.key(0)).shape == (2,)
