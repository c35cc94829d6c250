"""Tests of parameter counts, shapes and errors of networks."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from runs import module

from jaxgan import config as config_lib
from jaxgan import errors, models
from jaxgan.training import summary
from tests.system.configs_test import CASES

Z = jnp.zeros((1, 100))
MNIST = jnp.zeros((1, 28, 28, 1))

# (all parameters, trained ones) as the MNIST GAN tutorial prints them.
COUNTS = {
  'mlp.Generator': ({'shape': (28, 28, 1)}, Z, (583_312, 581_520)),
  'mlp.Discriminator': ({}, MNIST, (265_601, 265_601)),
}


def test_every_network_is_used_by_a_config():
  """And so trained by `configs_test`; where published, it is counted, too."""
  used = set()
  for path, variant in CASES:
    fields = config_lib.flatten(module(path).get_config(variant))
    used |= {v for k, v in fields.items() if k.endswith('.name')}
  assert models.known().keys() <= used


@pytest.mark.parametrize('name', COUNTS)
def test_parameter_counts(name):
  fields, inputs, counts = COUNTS[name]
  module = models.build('network', {'name': name, **fields})
  assert summary.parameter_counts(module, inputs) == counts
  text = summary.network('network', summary.trace(module, inputs))
  assert f'{counts[0]:,}' in text


def test_a_network_that_does_not_take_its_inputs_is_named():
  codes = jnp.zeros((1, 8))
  network = models.build('discriminator', {'name': 'dcgan.Discriminator'})
  message = r'dcgan\.Discriminator does not take inputs of shapes \(1, 8\)'
  with pytest.raises(errors.UserError, match=message):
    summary.trace(network, codes)


@pytest.mark.parametrize('shape', [(28, 28, 1), (5, 7, 3), (1, 1, 1), (2,)])
def test_networks_take_any_shape(shape, key):
  generator = models.build('generator', {'name': 'mlp.Generator'}, shape=shape)
  discriminator = models.build('d', {'name': 'mlp.Discriminator'}, shape=shape)
  images, _ = generator.init_with_output(key, jnp.ones((3, 6)), train=False)
  assert images.shape == (3, *shape)
  logits, _ = discriminator.init_with_output(key, images, train=False)
  assert logits.shape == (3,)


def test_build_lists_known_names_for_unknown_ones():
  with pytest.raises(errors.UserError, match=r'mlp\.Discriminator, mlp\.Gen'):
    models.build('generator', {'name': 'mlp.Generater'})
  with pytest.raises(errors.UserError, match='slope, widths'):
    models.build('d', {'name': 'mlp.Discriminator', 'width': 3}, num_classes=0)


def test_summary_lists_layers_in_the_order_of_the_data():
  fields = COUNTS['mlp.Generator'][0] | {'name': 'mlp.Generator'}
  traced = summary.trace(models.build('g', fields), Z)
  text = summary.network('generator', traced)
  layers = [line.split()[0] for line in text.splitlines()[2:]]
  assert layers == [
    *('Dense_0', 'BatchNorm_0', 'Dense_1', 'BatchNorm_1', 'Dense_2'),
    *('BatchNorm_2', 'Dense_3', 'output', 'total'),
  ]


def test_summary_counts_inner_networks_once():
  class Inner(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(3)(x)

  class Outer(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
      return nn.Dense(2)(Inner(name='inner')(x))

  text = summary.network('outer', summary.trace(Outer(), jnp.zeros((1, 4))))
  assert 'inner/Dense_0' in text
  total = 4 * 3 + 3 + 3 * 2 + 2
  assert text.splitlines()[-1].split() == ['total', str(total)]


def test_conditional_networks_use_the_label(key):
  for name, x in (('mlp.Generator', Z), ('mlp.Discriminator', MNIST)):
    module = models.build('n', {'name': name}, shape=(28, 28, 1), num_classes=3)
    inputs = [x, jnp.array([0])]
    variables = module.init(key, *inputs, train=False)
    one = module.apply(variables, *inputs, train=False)
    other = module.apply(variables, x, jnp.array([1]), train=False)
    assert jnp.abs(one - other).max() > 0
    assert jax.tree.leaves(variables)
