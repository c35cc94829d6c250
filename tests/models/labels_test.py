"""Labels that are no classes: an error where values are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import errors
from jaxgan.core import latents
from jaxgan.models import dcgan, mlp
from jaxgan.steps import gan as gan_lib

SHAPE = (8, 8, 1)
SMALL = dict(widths=(4,), num_classes=3)
NETWORKS = {
  'mlp': mlp.Generator(SHAPE, **SMALL),
  'mlp, multiply': mlp.Generator(SHAPE, **SMALL, conditioning='multiply'),
  'dcgan': dcgan.Generator(SHAPE, strides=(2,), **SMALL),
  'D, concat': dcgan.Discriminator(**SMALL, conditioning='concat'),
  'D, projection': dcgan.Discriminator(**SMALL, conditioning='projection'),
}


@pytest.mark.parametrize('name', NETWORKS)
def test_networks_refuse_labels_out_of_range(name, key):
  module = NETWORKS[name]
  inputs = jnp.zeros((2, *SHAPE) if name.startswith('D') else (2, 5))
  right = jnp.array([0, 2])
  init = lambda: module.init(key, inputs, right, train=False)

  def run(label):
    call = lambda v: module.apply(v, inputs, label, train=False)
    return jax.eval_shape(call, jax.eval_shape(init))

  run(right)
  for label in ([0, 99], [-1, 0], np.array([3, 0])):
    with pytest.raises(errors.UserError, match=r'is no class.*0\.\.2'):
      run(jnp.asarray(label))
  jax.eval_shape(run, jax.ShapeDtypeStruct((2,), jnp.int32))


def test_samples_of_a_label_out_of_range_are_refused(key):
  method = gan_lib.GAN(
    NETWORKS['mlp'],
    mlp.Discriminator(widths=(4,), num_classes=3),
    latents=latents.single('normal', 5),
    num_classes=3,
  )
  state = jax.jit(lambda: gan_lib.init(method, key))()
  z = jnp.zeros((2, 5))
  with pytest.raises(errors.UserError, match='label=99 is no class'):
    gan_lib.decode(method, state, z, jnp.array([0, 99]))
