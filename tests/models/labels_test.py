"""Labels that are no classes: an error where values are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import errors
from jaxgan.core import latents
from jaxgan.models import dcgan, mlp, r3gan, resnet, transformer
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


CLASS_LOGIT = dict(num_classes=3, conditioning='class_logit')
TOKENS = dict(depth=1, width=8, heads=1, patch=4)
HEADS = {
  'mlp': mlp.Discriminator((4,), **CLASS_LOGIT),
  'dcgan': dcgan.Discriminator((4,), **CLASS_LOGIT),
  'resnet': resnet.Discriminator((4,), (2,), **CLASS_LOGIT),
  'r3gan': r3gan.Discriminator((4,), (1,), (2,), **CLASS_LOGIT),
  'gat': transformer.NoiseDiscriminator(**TOKENS, **CLASS_LOGIT),
  'cat': transformer.ScaleDiscriminator(**TOKENS, **CLASS_LOGIT),
}


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(n, marks=[] if n == 'mlp' else pytest.mark.slow) for n in HEADS
  ],
)
def test_class_logits_are_those_of_the_label(name, key):
  """The body does not see the label; logits of other labels are sown too."""
  module, x = HEADS[name], jax.random.normal(key, (3, *SHAPE))

  @jax.jit
  def run(label):
    params = module.init(key, x, label, train=False)
    logits, sown = module.apply(
      params, x, label, train=False, mutable=['intermediates']
    )
    leaves = jax.tree_util.tree_leaves_with_path(sown)
    (classes,) = (v for path, v in leaves if 'classes' in str(path))
    return logits.reshape(3, -1).mean(-1), classes

  for label in ([0, 1, 2], [2, 2, 0]):
    logits, classes = run(jnp.array(label))
    np.testing.assert_allclose(
      logits, classes[np.arange(3), label], rtol=1e-5, atol=1e-6
    )
