"""The tutorials' networks have the tutorials' numbers of parameters."""

import pathlib

import pytest
from runs import module

from jaxgan import data, steps
from jaxgan.training import summary

CONFIGS = pathlib.Path(__file__).parents[2] / 'configs'
DIGITS = (28, 28, 1)
# config:variant -> shape of an image, classes, parameters of both networks,
# running statistics included, as the notebooks print them; those of SVHN and
# of the logograms, which print none, follow from their layers.
COUNTS = {
  'gan_mnist:tutorial': (DIGITS, 10, 583_312, 265_601),
  'gan_mnist:one_layer': (DIGITS, 10, 114_064, 100_609),
  'dcgan_mnist:tutorial': (DIGITS, 10, 2_330_944, 212_865),
  'cgan_mnist:tutorial': (DIGITS, 10, 584_312, 273_441),
  'wgan_mnist:tutorial': (DIGITS, 10, 2_330_944, 212_865),
  'lsgan_mnist:tutorial': (DIGITS, 10, 583_312, 265_601),
  'dcgan_cifar10:tutorial': ((32, 32, 3), 10, 4_520_384, 4_308_609),
  'cgan_cifar10:tutorial': ((32, 32, 3), 10, 4_542_912, 5_361_281),
  'ccgan_mnist:tutorial': ((32, 32, 1), 10, 1_545_025, 705_996),
  'context_encoder_cifar10:tutorial': ((32, 32, 3), 2, 826_435, 373_377),
  'logograms:tutorial': ((128, 128, 1), 0, 8_739_457, 6_629_633),
}


@pytest.mark.parametrize('case', COUNTS)
def test_parameters(case):
  shape, num_classes, *expected = COUNTS[case]
  name, variant = case.split(':')
  config = module(CONFIGS / f'{name}.py').get_config(variant)
  classes = tuple(map(str, range(num_classes)))
  spec = data.Spec(shape, num_classes, classes)
  algorithm = steps.find(config.method)
  method = algorithm.from_config(config, spec)
  found = [
    summary.parameter_counts(*network)[0]
    for network in (
      (part, *inputs) for part, inputs in algorithm.modules(method).values()
    )
  ]
  assert found == expected


def test_every_tutorial_is_counted():
  tutorials = {
    f'{path.stem}:tutorial'
    for path in CONFIGS.glob('*.py')
    if 'tutorial' in module(path).VARIANTS
  }
  # Those with networks of their own are counted in the tests of these.
  elsewhere = {
    'autoencoder_mnist:tutorial',
    'vae_mnist:tutorial',
    'dcgan_svhn:tutorial',
  }
  assert tutorials <= COUNTS.keys() | elsewhere
