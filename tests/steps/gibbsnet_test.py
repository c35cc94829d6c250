"""GibbsNet: the unclamped chain, its gradients, and pictures of latents."""

import functools

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import ROOT, module

from jaxgan import bigan, errors, gibbsnet
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.core.state import Output
from jaxgan.data.dataset import Spec

compiled_steps = compiled.Compiled(gibbsnet)
SHAPE = (8, 8, 1)
IMAGES = jax.random.uniform(jax.random.key(1), (4, *SHAPE), minval=-1.0)


def config(variant='', **changed):
  path = ROOT / 'configs' / 'gibbsnet_mnist.py'
  made = module(path).get_config(variant)
  made.latent_size = 3
  for name in ('generator', 'encoder', 'discriminator'):
    made[name].widths = (4,)
  made.update_from_flattened_dict(changed)
  return made


def build(*args, **changed):
  return gibbsnet.from_config(config(*args, **changed), Spec(SHAPE, 10))


class Discriminator:
  """Its logits are sums of the code of a pair."""

  def __call__(self, pair, key):
    return Output(pair[:, 64:].sum(axis=1), {}, {})

  def after(self, output):
    return self


def networks(scale=1.0):
  """Returns networks with E(G(z)) = scale (mean of z / 2) + 1, not drawn."""

  def generator(z, key, train):
    pixel = z.mean(axis=1) / 4.0
    return Output(jnp.broadcast_to(pixel[:, None, None, None], (4, *SHAPE)))

  def encoder(pixels, key, train):
    mean = scale * (2.0 * pixels - 1.0).mean((1, 2, 3)) * 2.0 + 1.0
    return Output(jnp.tile(mean[:, None], (1, 3)))

  return {
    'generator': generator,
    'encoder': encoder,
    'discriminator': Discriminator(),
  }


@pytest.mark.parametrize('chain', [0, 1, 4])
def test_latents_are_the_end_of_the_chain(chain, key):
  """A step maps the mean m of a latent to m / 2 + 1, with fixed point 2."""
  method = build(chain=chain, stochastic=False)
  start = build(chain=0, stochastic=False)
  z = method.prior(networks(), key, 4, True)
  first = jax.random.split(key, chain + 1)[0]
  mean = np.asarray(start.latents.sample(first, 4)).mean(axis=1)
  want = 2.0 + (mean - 2.0) / 2.0**chain
  np.testing.assert_allclose(z.mean(axis=1), want, rtol=1e-5)


def test_loss_is_that_of_ali_with_the_latents_of_the_chain(key):
  """After 50 steps every latent is 2, so logits of fakes are 6."""
  method = build(chain=50, stochastic=False, **{'penalties.r1': 0.0})
  loss, _ = bigan.discriminator_loss(
    *(method, networks(), None, {'image': IMAGES}, key),
    discriminator_lib.separate,
  )
  real = 3.0 * (2.0 * np.asarray(IMAGES).mean((1, 2, 3)) + 1.0)
  want = np.mean(np.log1p(np.exp(-real))) + np.log1p(np.exp(6.0))
  np.testing.assert_allclose(loss, want, rtol=1e-5)


def test_gradients_flow_through_the_last_step_alone(key):
  """z_N = s m / 2 + 1, and m, the mean of z_(N-1), counts as a constant."""
  before = build(chain=2, stochastic=False)
  method = build(chain=3, stochastic=False)
  first = jax.random.split(key, 4)[0]
  mean = np.asarray(before.latents.sample(first, 4)).mean(axis=1)
  mean = 2.0 + (mean - 2.0) / 4.0  # z_2

  def total(scale):
    return method.prior(networks(scale), key, 4, True).sum()

  np.testing.assert_allclose(jax.grad(total)(1.0), 3 * mean.sum() / 2, 1e-5)


def test_round_updates_all_networks_and_chains_are_shown(key):
  method = build(chain=1)
  state = compiled_steps.init(method, key)
  batch = {'image': IMAGES}
  after, metrics = compiled_steps.train_step(method, state, batch, key)
  assert all(np.isfinite(x) for x in metrics.values())
  for name, network in state.networks.items():
    pairs = zip(
      *map(jax.tree.leaves, (network.params, after.networks[name].params)),
      strict=True,
    )
    assert max(float(jnp.abs(a - b).max()) for a, b in pairs) > 0.0, name
  show = jax.jit(functools.partial(gibbsnet.preview, method))
  pictures = show(after, batch, key)
  assert list(pictures) == ['samples', 'reconstructions', 'chains']
  assert pictures['chains'].shape == (4, 10, *SHAPE)
  np.testing.assert_array_equal(pictures['chains'][:, 0], IMAGES)


def test_batch_norm_is_refused():
  with pytest.raises(errors.UserError, match="norm='layer'"):
    build(**{'generator.norm': 'batch'})


@pytest.mark.parametrize('chain', [-1, 101])
def test_chains_out_of_range_are_refused(chain):
  with pytest.raises(errors.UserError, match=f'chain={chain}'):
    build(chain=chain)


def test_points_are_refused():
  with pytest.raises(errors.UserError, match='needs images'):
    gibbsnet.from_config(config(), Spec((2,)))
