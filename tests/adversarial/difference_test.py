"""Finite differences beside slopes, centring, and the normalised gradient."""

import dataclasses
import types

import chex
import compiled
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import errors, gan
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import penalties, regularisers, terms, tricks
from jaxgan.adversarial.gradient_norm import NAME, NormaliseGradient
from jaxgan.config import game as game_config
from jaxgan.config import presets
from jaxgan.core import noise
from jaxgan.core import state as state_lib
from jaxgan.data import Spec
from jaxgan.models import mlp

gan = compiled.Compiled(gan)

SHAPE = (4, 3, 1)
IMAGES = jax.random.normal(jax.random.key(1), (8, *SHAPE))


def drawn(key, like):
  """Returns the noise of `penalties.difference`."""
  return noise.normal(jax.random.fold_in(key, 0), len(like), like.shape[1:])


@pytest.mark.parametrize('epsilon', [1e-3, 0.01, 10.0])
def test_difference_of_a_linear_critic_is_its_slope_along_the_noise(
  epsilon, key
):
  """(w n)^2 at every step, whose mean over draws is |w|^2."""
  weights = jnp.linspace(-1.0, 1.0, 12).reshape(SHAPE)
  critic = lambda x: jnp.sum(x * weights[None], (1, 2, 3)) + 3.0
  many = jnp.broadcast_to(IMAGES[:1], (20_000, *SHAPE))
  values = penalties.difference(critic, many, key, epsilon)
  along = jnp.sum(drawn(key, many) * weights[None], (1, 2, 3))
  np.testing.assert_allclose(values, along**2, rtol=0.02, atol=0.01)
  # The deviation of (w n)^2 is sqrt(2) |w|^2.
  expected = float(jnp.sum(weights**2))
  error = abs(float(jnp.mean(values)) - expected)
  assert error < 4 * (2 / len(many)) ** 0.5 * expected


def network(params, x):
  x = jnp.tanh(x.reshape(len(x), -1) @ params['in'])
  return (jnp.sin(x) @ params['out'])[:, 0]


def test_differences_converge_to_slopes_along_the_same_noise(key):
  """The value and the gradient in the weights, with an error of order e."""
  with jax.enable_x64(True):
    draws = [
      np.random.default_rng(k).normal(size=s)
      for k, s in enumerate([(12, 16), (16, 1), IMAGES.shape])
    ]
    params, x = {'in': draws[0] / 3, 'out': draws[1]}, jnp.asarray(draws[2])
    direction = jnp.asarray(drawn(key, x), x.dtype)

    def exact(params):
      critic = lambda x: network(params, x)
      return jnp.mean(jax.jvp(critic, (x,), (direction,))[1] ** 2)

    def approximate(params, epsilon):
      critic = lambda x: network(params, x)
      return jnp.mean(penalties.difference(critic, x, key, epsilon))

    expected = jax.value_and_grad(exact)(params)
    distances = []
    for epsilon in (1e-2, 1e-3, 1e-4):
      found = jax.value_and_grad(approximate)(params, epsilon)
      distances.append(
        [
          float(jnp.abs(a - b).max())
          for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True)
        ]
      )
    first, second, third = np.array(distances)
    assert (second < 0.15 * first).all()
    assert (third < 0.15 * second).all()
    chex.assert_trees_all_close(found, expected, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_mean_over_directions_is_the_exact_penalty(key):
  """R1 of a random network is the mean over many draws of the noise."""
  params = {
    'in': jax.random.normal(key, (12, 16)) / 3,
    'out': jax.random.normal(jax.random.fold_in(key, 1), (16, 1)),
  }
  x = jnp.repeat(IMAGES, 4_000, axis=0)
  critic = lambda x: network(params, x)
  found = jnp.mean(penalties.difference(critic, x, key, 0.01))
  expected = jnp.mean(penalties.r1(critic, IMAGES, None))
  np.testing.assert_allclose(found, expected, rtol=0.03)


def test_logits_of_16_bits_are_subtracted_in_32(key):
  critic = lambda x: jnp.sum(x, (1, 2, 3)).astype(jnp.bfloat16)
  assert penalties.difference(critic, IMAGES, key).dtype == jnp.float32


def config_of(**fields):
  config = presets.game()
  config.update(presets.mlp())
  config.generator.update(widths=(4,), norm='none')
  config.discriminator.widths = (4,)
  config.update(batch_size=8, latent_size=4, **fields)
  return config


@pytest.mark.parametrize('kind', ['real', 'fake'])
@pytest.mark.parametrize('stride', [1, 2])
def test_term_is_the_difference_of_images_before_augmentation(
  kind, stride, key
):
  name = {'real': 'r1', 'fake': 'r2'}[kind]
  config = config_of(penalties_difference=0.1, penalties_stride=stride)
  config.penalties[name] = 0.5
  config.update(augment=('translation',))
  config.discriminator.dropout = 0.3
  method = gan.from_config(config, Spec(SHAPE))
  state, z = gan.init(method, key), jnp.ones((8, 4))
  _, metrics = gan.discriminator_step(method, state, {'image': IMAGES}, z, key)
  networks = state_lib.bind(method, state)
  keys = discriminator_lib.update_keys(key)
  made = networks['generator'](z, key=keys['dropout']).images
  x = {'real': IMAGES, 'fake': made}[kind][::stride]

  @jax.jit
  def critic(x):
    shown = method.tricks.augment_inputs(state, x, keys[f'{kind}_show'])
    return networks['discriminator'](shown, key=keys[kind]).logits

  own = jax.random.fold_in(keys['penalty'], ('real', 'fake').index(kind))
  moved = x + 0.1 * drawn(own, x)
  expected = jnp.mean(((critic(moved) - critic(x)) / 0.1) ** 2)
  np.testing.assert_allclose(
    metrics[f'discriminator/{name}'], expected, rtol=1e-3
  )


@pytest.mark.parametrize('epsilon', [0.0, 0.01])
def test_discriminator_feels_the_penalty(epsilon, key):
  """The gradient of the penalty in the weights is not zero."""
  config = config_of(penalties_difference=epsilon)
  moves = []
  for weight in (0.0, 10.0):
    config.penalties.update(r1=weight, r2=weight)
    config.discriminator.optimizer.update(name='sgd', learning_rate=0.1)
    method = gan.from_config(config, Spec(SHAPE))
    state, z = gan.init(method, key), jnp.ones((8, 4))
    after, _ = gan.discriminator_step(method, state, {'image': IMAGES}, z, key)
    moves.append(after.networks['discriminator'].params)
  change = jax.tree.map(lambda a, b: a - b, *moves)
  assert float(state_lib.global_norm(change)) > 1e-3


@pytest.mark.parametrize('before', [False, True])
def test_exact_penalties_of_every_second_example(before, key):
  fields = config_of(penalties_stride=2)
  fields.penalties.r1 = 1.0
  if before:
    fields.ada.update(pipe='c', target=0.0, p=0.0)
  method = gan.from_config(fields, Spec(SHAPE))
  state, z = gan.init(method, key), jnp.ones((8, 4))
  _, metrics = gan.discriminator_step(method, state, {'image': IMAGES}, z, key)
  network = state_lib.bind(method, state)['discriminator']
  critic = lambda x: network(x).logits
  expected = jnp.mean(penalties.r1(critic, IMAGES[::2], None))
  np.testing.assert_allclose(metrics['discriminator/r1'], expected, rtol=1e-4)


def test_stride_must_divide_the_batch():
  with pytest.raises(errors.UserError, match='penalties_stride=3 does not div'):
    penalties.strided(IMAGES, 3)


def test_centring_is_the_mean_square_of_sums():
  scene = lambda real, fake: terms.Scene(
    *[None] * 7,
    terms.Output(jnp.array(real)),
    terms.Output(jnp.array(fake)),
    None,
  )
  value = regularisers.centring(scene([1.0, 3.0], [-1.0, 1.0]))
  assert float(value) == (0.0 + 16.0) / 2


def test_centring_needs_both_kinds():
  config = config_of(logit_centring=0.01, discriminator_batches='apart')
  with pytest.raises(errors.UserError, match=r'logit_centring=0\.01 adds'):
    game_config.fields(config, Spec(SHAPE))


@dataclasses.dataclass(frozen=True)
class Pull:
  """A term of the generator that does not pass through the discriminator."""

  def __call__(self, scene):
    return jnp.mean(scene.generated.images**2)


def with_average(decay, weight, pull=0.0, **fields):
  return gan.GAN(
    mlp.Generator(SHAPE, (8,), norm='none'),
    mlp.Discriminator((8,)),
    optax.sgd(0.1),
    optax.sgd(0.1),
    **games.fields(latent_size=4)
    | {
      'tricks': tricks.build(gradient_average=decay),
      'adversarial': weight,
      'generator_terms': (terms.Term('pull', Pull(), pull),),
    }
    | fields,
  )


def moved(method, key):
  """Returns the change of the generator in a step, and the next state."""
  state = gan.init(method, key)
  z = method.latents.sample(key, 8)
  after, _ = gan.generator_step(method, state, {'image': IMAGES}, z, key)
  both = (s.networks['generator'].params for s in (after, state))
  return jax.tree.map(jnp.subtract, *both), after


@pytest.mark.parametrize('decay', [0.5, 0.9])
def test_normalised_gradients_do_not_depend_on_their_size(decay, key):
  """In the first update the divisor is sqrt(n) |g|, for every decay."""
  small, _ = moved(with_average(decay, 1e-3), key)
  large, after = moved(with_average(decay, 1e3), key)
  chex.assert_trees_all_close(small, large, rtol=1e-3, atol=1e-6)
  method = with_average(0.0, 1e3)
  plain, _ = moved(method, key)
  square = after.extra[NAME]['square'] / after.extra[NAME]['weight']
  expected = jax.tree.map(lambda x: x / square**0.5, plain)
  chex.assert_trees_all_close(large, expected, rtol=1e-3, atol=1e-6)
  networks = state_lib.bind(method, gan.init(method, key))

  def adversarial(images):
    logits = networks['discriminator'](images).logits
    return 1e3 * jnp.mean(method.loss.generator(logits, logits))

  z = method.latents.sample(key, 8)
  images = networks['generator'](z).images
  slope = jax.grad(adversarial)(images)
  np.testing.assert_allclose(square, slope.size * jnp.sum(slope**2), rtol=1e-4)


def test_terms_beside_the_discriminator_keep_their_gradient(key):
  change = [moved(with_average(0.9, 1.0, pull), key)[0] for pull in (0.0, 5.0)]
  of_term = jax.tree.map(jnp.subtract, *change[::-1])
  plain = [moved(with_average(0.0, 1.0, pull), key)[0] for pull in (0.0, 5.0)]
  expected = jax.tree.map(jnp.subtract, *plain[::-1])
  chex.assert_trees_all_close(of_term, expected, rtol=1e-3, atol=1e-6)


def test_average_of_the_norm_is_that_of_adam(key):
  """After two updates: (d (1 - d) a + (1 - d) b) / (1 - d^2)."""
  judge = lambda scale: (
    lambda x: (
      scale * jnp.sum(x),
      state_lib.Aux({}, {}),
    )
  )
  rule, state = NormaliseGradient(0.9), types.SimpleNamespace()
  images, state.extra = jnp.ones((2, 3)), rule.init()
  for scale in (1.0, 2.0):
    loss = lambda x, scale=scale: rule(judge(scale), x, state)
    slope, aux = jax.grad(loss, has_aux=True)(images)
    state.extra = aux.extra
  squares = 36.0 * np.array([1.0, 4.0])  # n |g|^2 of six numbers
  mean = (0.9 * 0.1 * squares[0] + 0.1 * squares[1]) / (1 - 0.81)
  np.testing.assert_allclose(slope, np.full((2, 3), 2.0 / mean**0.5), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.eight_devices
def test_normalised_gradient_on_eight_devices_equals_one(key):
  method = with_average(0.9, 1.0)
  step = jax.pmap(
    gan.generator_step,
    axis_name='data',
    static_broadcasted_argnums=0,
    in_axes=(None, None, 0, 0, None),
    out_axes=None,
  )
  state, z = gan.init(method, key), method.latents.sample(key, 8)
  one, _ = gan.generator_step(method, state, {'image': IMAGES}, z, key)
  split = lambda x: x.reshape(8, 1, *x.shape[1:])
  many, _ = step(method, state, {'image': split(IMAGES)}, split(z), key)
  chex.assert_trees_all_close(one, many, rtol=1e-4, atol=1e-6)
