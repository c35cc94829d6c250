"""SRGAN: parameters of the paper's generator, shuffled pixels, errors."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import thresholds
from runs import ROOT, module

from jaxgan import errors, srgan
from jaxgan.data.dataset import Spec
from jaxgan.models import srgan as networks
from jaxgan.training import summary

srgan = compiled.Compiled(srgan)
SPEC = Spec((16, 16, 3), source_shape=(16, 16, 3))


def config(**changed):
  config = module(ROOT / 'configs' / 'srgan_faces.py').get_config()
  config.batch_size = 2
  config.generator.update(width=4, blocks=1)
  config.discriminator.widths = (4, 4)
  config.update_from_flattened_dict(changed)
  return config


def test_generator_has_the_published_number_of_parameters():
  network = networks.Generator((96, 96, 3))
  count = summary.parameter_counts(network, jnp.zeros((1, 96, 96, 3)))
  assert 1_549_462 in count


def test_shuffled_pixels_are_equation_4():
  x = jnp.arange(2 * 3 * 8.0).reshape(1, 2, 3, 8)
  y = networks.shuffled(x, 2)
  assert y.shape == (1, 4, 6, 2)
  for row in range(4):
    for column in range(6):
      first = 2 * (2 * (row % 2) + column % 2)
      wanted = x[0, row // 2, column // 2, first : first + 2]
      np.testing.assert_array_equal(y[0, row, column], wanted)


def test_generator_sees_one_pixel_of_each_square(key):
  network = networks.Generator((16, 16, 3), width=4, blocks=1)
  small = jax.random.normal(key, (1, 4, 4, 3))
  large = small.repeat(4, axis=1).repeat(4, axis=2)
  changed = large.at[:, 1::4].set(0.0)
  params = network.init(key, large, train=False)
  a, b = (network.apply(params, x, train=False) for x in (large, changed))
  np.testing.assert_array_equal(a, b)
  assert a.shape == (1, 16, 16, 3)


def test_bicubic_keeps_flat_images_and_has_a_score(key):
  method = srgan.from_config(config(), SPEC)
  flat = jnp.full((2, 16, 16, 3), 0.5)
  np.testing.assert_allclose(srgan.bicubic(method, flat), flat, atol=1e-6)
  state = srgan.init(method, key)
  batch = {'image': flat + 0.02, 'source': flat}
  scores = srgan.evaluate(method, state, batch)
  wanted = 10 * np.log10(4.0 / 0.02**2)
  np.testing.assert_allclose(
    scores['generator/held_out_psnr_bicubic'], wanted, rtol=1e-4
  )
  state, metrics = srgan.train_step(method, state, batch, key)
  assert np.isfinite(metrics['generator/reconstruction'])
  shown = srgan.preview(method, state, batch, key)
  assert shown['enlarged'].shape == (4, 2, 16, 16, 3)


def test_other_pairs_are_refused():
  with pytest.raises(errors.UserError, match=r"data\.pair='low:4'"):
    srgan.from_config(config(**{'data.pair': 'edges'}), SPEC)


@pytest.mark.slow
@pytest.mark.trains_long
def test_generator_exceeds_bicubic_enlargement():
  """The number of the config's docstring, on procedural house numbers."""
  _, method, state, held_out = thresholds.train(
    'srgan_faces',
    600,
    **{
      'data.source': 'procedural',
      'data.name': 'street_numbers',
      'data.limit': 2_000,
      'data.held_out': 0.0,
      'data.image_size': 32,
      'adversarial': 0.0,
      'generator.blocks': 2,
      'ema_halflife': 500.0,
    },
  )
  batch = {k: jnp.asarray(held_out[k][:200]) for k in ('image', 'source')}
  batch = {k: x / 127.5 - 1.0 for k, x in batch.items()}
  scores = srgan.evaluate(method, state, batch)
  bicubic = float(scores['generator/held_out_psnr_bicubic'])
  assert float(scores['generator/held_out_psnr']) > bicubic
