"""Every trick does what its paper says."""

import functools

import chex
import compiled
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import gan
from jaxgan.adversarial import (
  ada,
  adaptive,
  augment,
  image_pool,
  losses,
  soft_labels,
)
from jaxgan.core import latents as latents_lib
from jaxgan.core import noise, optim
from jaxgan.core import state as state_lib
from jaxgan.models import dcgan, mlp
from jaxgan.models.layers import layers, norms

gan = compiled.Compiled(gan)
affine = jax.jit(augment.affine)
translation = jax.jit(augment.translation)
cutout = jax.jit(augment.cutout)

SHAPE = (8, 6, 1)
IMAGES = jax.random.uniform(jax.random.key(1), (8, *SHAPE), minval=-1.0)
BATCH = {'image': IMAGES, 'label': jnp.arange(8) % 2}
Z = jax.random.normal(jax.random.key(2), (8, 4))


def make(**fields) -> gan.GAN:
  fields = {'latent_size': 4} | fields
  networks = {
    'generator': mlp.Generator(SHAPE, (8,)),
    'discriminator': mlp.Discriminator((8,)),
  }
  return gan.GAN(**networks | games.fields(**fields))


TRICKS = {
  'latent_reuse': dict(latent_reuse=True),
  'real_reuse': dict(real_reuse=True, discriminator_steps=2),
  'apart': dict(discriminator_batches='apart'),
  'running': dict(fakes='running'),
  'label_noise': dict(label_noise=0.3),
  'label_flip': dict(label_flip=0.2),
  'feature_matching': dict(adversarial=0.0, feature_matching=1.0),
  'augment': dict(augment=tuple(augment.AUGMENTATIONS.values())),
  'pipe': dict(pipe=ada.PIPES['bgc'], strength=adaptive.Fixed(0.8)),
  'adaptive_pipe': dict(
    pipe=ada.PIPES['bg'], strength=adaptive.Adaptive(-1.0, 16.0, 1)
  ),
  'flip_reals': dict(flip_reals=True),
  'lecam': dict(lecam=1.0),
  'consistency': dict(consistency={'real': 10.0}),
  'balanced_consistency': dict(consistency={'real': 10.0, 'fake': 10.0}),
  'frozen_layers': dict(frozen_layers=('Dense_0',)),
  'instance_noise': dict(instance_noise=0.1, instance_noise_images=100),
  'pack': dict(pack=2),
  'top_k': dict(top_k=0.5, top_k_images=64),
  'replay': dict(replay_size=16, replay_share=0.5),
}


def rounds(method) -> dict[str, float]:
  """Returns the metrics of the third round."""
  count = 8 * gan.batches_per_round(method) // method.discriminator_steps
  batch = {name: value[:count] for name, value in BATCH.items()}
  key = jax.random.key(0)
  state = gan.init(method, key)
  step = gan.train_step
  for _ in range(3):
    state, metrics = step(method, state, batch, key)
  return jax.device_get(metrics)


@functools.cache
def plain_rounds(discriminator_steps):
  return rounds(make(discriminator_steps=discriminator_steps))


# The other tricks have tests of what they compute.
QUICK = ('apart', 'feature_matching', 'augment', 'pack')


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow])
    for n in TRICKS
  ],
)
def test_every_trick_changes_the_round(name):
  method = make(**TRICKS[name])
  plain, metrics = plain_rounds(method.discriminator_steps), rounds(method)
  shared = sorted(plain.keys() & metrics.keys())
  assert {'generator/loss', 'discriminator/loss'} <= set(shared)
  # Far more than rounding.
  values = ([x[name] for name in shared] for x in (plain, metrics))
  assert not np.allclose(*values, rtol=1e-4, atol=1e-5)


def test_rounds_without_tricks_are_equal():
  again = rounds(make(replay_size=0, top_k=1.0, pack=1))
  np.testing.assert_equal(again, plain_rounds(1))


# All of them; some can't be on together.
@pytest.mark.parametrize(
  'names',
  [
    ('latent_reuse', 'apart', 'running', 'label_noise', 'top_k', 'replay'),
    ('real_reuse', 'label_flip', 'augment', 'instance_noise', 'pack', 'pipe'),
    ('feature_matching', 'adaptive_pipe', 'flip_reals', 'frozen_layers'),
    ('lecam', 'balanced_consistency'),
  ],
)
def test_rounds_with_tricks_stay_finite(names, key):
  method = make(**{k: v for name in names for k, v in TRICKS[name].items()})
  count = 8 * gan.batches_per_round(method) // method.discriminator_steps
  batch = {name: value[:count] for name, value in BATCH.items()}
  state = gan.init(method, key)
  step = gan.train_step
  for _ in range(3):
    state, metrics = step(method, state, batch, key)
  chex.assert_tree_all_finite((state, metrics))


def test_features_that_match_leave_nothing_to_learn(key):
  """Reals for fakes: the distance of mean features is zero."""
  method = make(adversarial=0.0, feature_matching=1.0)
  state = gan.init(method, key)
  fake, _ = state_lib.apply(
    method.generator,
    state.networks['generator'].params,
    state.networks['generator'].stats,
    Z,
    train=True,
  )
  _, metrics = gan.generator_step(method, state, {'image': fake}, Z, key)
  np.testing.assert_allclose(
    metrics['generator/feature_matching'], 0.0, atol=1e-10
  )
  _, metrics = gan.generator_step(method, state, BATCH, Z, key)
  assert metrics['generator/feature_matching'] > 1e-4


def test_flipped_labels_swap_the_terms():
  pair = losses.PAIRS['non_saturating']
  real, fake = jnp.array([2.0, -1.0]), jnp.array([0.5, 3.0])
  flipped = soft_labels.soften(pair, jnp.ones(2), jnp.ones(2))
  np.testing.assert_allclose(
    flipped.discriminator(real, fake),
    pair.as_fake(real) + pair.as_real(fake),
    rtol=1e-6,
  )


def test_label_shares_have_the_probabilities_asked_for(key):
  real, fake = soft_labels.label_shares(key, 4000, 0.3, 0.1)
  for shares in (real, fake):
    flipped = shares > 0.5
    assert abs(float(flipped.mean()) - 0.1) < 0.02
    kept = np.where(flipped, 1.0 - shares, shares)
    assert kept.min() >= 0.0
    assert 0.29 < kept.max() < 0.3
    np.testing.assert_allclose(kept.mean(), 0.15, atol=0.01)
  assert float(jnp.abs(real - fake).max()) > 0.1


def test_top_share_keeps_the_most_real():
  logits = jnp.array([3.0, -1.0, 2.0, 0.0])
  np.testing.assert_allclose(
    losses.top_share(logits, 0.5), [2.0, 0.0, 2.0, 0.0]
  )
  np.testing.assert_allclose(losses.top_share(logits, 1.0), 1.0)
  np.testing.assert_allclose(
    losses.top_share(logits, 0.01), [4.0, 0.0, 0.0, 0.0]
  )


def test_historical_averaging_is_the_gradient_of_its_penalty():
  """theta: 1, then 3; the mean of both is 2, and 2 w (3 - 2) is added."""
  trick = optim.historical_averaging(0.5)
  state = trick.init(jnp.zeros(()))
  grads, state = trick.update(jnp.ones(()), state, jnp.float32(1.0))
  np.testing.assert_allclose(grads, 1.0)
  grads, state = trick.update(jnp.ones(()), state, jnp.float32(3.0))
  np.testing.assert_allclose(grads, 2.0)
  np.testing.assert_allclose(state.mean, 2.0)


def test_instance_noise_fades():
  fading = [float(augment.fading(0.4, 100, s)) for s in (0, 50, 100, 200)]
  np.testing.assert_allclose(fading, [0.4, 0.2, 0.0, 0.0], atol=1e-7)
  assert float(augment.fading(0.4, 0, 10**6)) == pytest.approx(0.4)


@pytest.mark.parametrize('name', augment.AUGMENTATIONS)
def test_augmentations_follow_the_example_and_let_gradients_through(name, key):
  change = jax.jit(augment.AUGMENTATIONS[name])
  x = jnp.repeat(IMAGES[:1], 8, axis=0)
  found = change(x, key)
  assert found.shape == x.shape
  assert float(jnp.abs(found[0] - found[1]).max()) > 1e-3
  np.testing.assert_array_equal(change(x[:4], key), found[:4])
  slope = jax.grad(lambda x: jnp.sum(change(x, key)))(x)
  assert float(jnp.abs(slope).max()) > 0


def test_affine_maps_a_ramp_to_a_ramp(key):
  """Linear interpolation is exact on ramps, away from the borders."""
  side = 33
  centred = jnp.arange(side) - (side - 1) / 2
  ramp = jnp.broadcast_to(centred[:, None, None], (1, side, side, 1))
  x = jnp.concatenate([ramp, jnp.swapaxes(ramp, 1, 2)], axis=-1) / side
  x = jnp.repeat(x, 64, axis=0)
  moved = affine(x, key)[:, 12:21, 12:21]  # the middle
  slopes = side * np.stack(  # [64, 2, 2]: along rows and columns, of both ramps
    [np.diff(moved, axis=axis).mean(axis=(1, 2)) for axis in (1, 2)], axis=1
  )
  for axis in (1, 2):
    assert float(jnp.abs(jnp.diff(moved, n=2, axis=axis)).max()) < 1e-5
  # Columns move last, so the ramp along them has the drawn scale and shear.
  scale, shear = slopes[:, 0, 0], slopes[:, 1, 0]
  assert 0.8 <= scale.min() < 0.85
  assert 1.2 < scale.max() <= 1.25
  assert 0.35 < np.abs(shear).max() <= 0.4
  # A constant image stays.
  np.testing.assert_allclose(
    affine(jnp.full((4, 7, 5, 2), 0.3), key), 0.3, atol=1e-6
  )


def test_translations_reach_an_eighth_and_cutout_half(key):
  x = jnp.ones((500, 16, 16, 1))
  moved = translation(x, key)
  left = np.asarray(moved[..., 0].sum(axis=(1, 2)))
  assert left.max() == 256
  assert left.min() == 14 * 14
  holes = 256 - np.asarray(cutout(x, key)[..., 0].sum(axis=(1, 2)))
  assert holes.max() == 64
  assert holes.min() >= 16


@pytest.mark.parametrize('side', [4, 5, 12, 20])
def test_shifts_and_holes_have_the_rules_of_diffaugment(side, key):
  """The authors' code: int(side * share + 0.5) rounds halves up.

  A hole of `size` pixels starts at offset - size // 2, with offsets up to
  side - size % 2, and is cut at the borders.
  """
  x = jnp.ones((3000, side, side, 1))
  limit, size = int(side / 8 + 0.5), int(side / 2 + 0.5)
  moved = np.asarray(translation(x, key)[..., 0])
  kept = moved.any(axis=2).sum(axis=1)
  assert set(kept) == set(range(side - limit, side + 1))
  gone = np.asarray(cutout(x, key)[..., 0] == 0)
  rows = gone.any(axis=2)  # [B, side]
  found = {tuple(np.flatnonzero(row)) for row in rows}
  starts = [offset - size // 2 for offset in range(side + 1 - size % 2)]
  expected = {
    tuple(range(max(start, 0), min(start + size, side))) for start in starts
  }
  assert found == expected
  pixels = rows.mean(axis=0)  # The holes have no preferred side.
  np.testing.assert_allclose(pixels, pixels[::-1], atol=0.06)


def test_earlier_runs_keep_their_shifts_and_holes(key):
  earlier = augment.find(('translation', 'cutout'), True, False)
  translation, cutout = map(jax.jit, earlier)
  x = jnp.ones((2000, 4, 4, 1))
  np.testing.assert_array_equal(translation(x, key), x)  # round(0.5) is 0
  gone = np.asarray(cutout(x, key)[..., 0] == 0).any(axis=2)
  starts = {int(np.flatnonzero(row)[0]) for row in gone}
  assert starts == {0, 1, 2}  # never the last pixel alone
  assert not (gone == [False, False, False, True]).all(axis=1).any()


def test_packs_hold_whole_examples():
  packed = augment.pack(IMAGES, 2)
  assert packed.shape == (4, 8, 6, 2)
  np.testing.assert_array_equal(packed[1, ..., 1], IMAGES[3, ..., 0])


def test_the_pool_shows_earlier_fakes_and_forgets_the_oldest(key):
  pool = image_pool.create(6, (1,))
  for turn in range(5):
    new = jnp.full((4, 1), float(turn + 1))
    shown, pool = image_pool.mix(pool, new, jax.random.fold_in(key, turn), 0.5)
    assert set(np.unique(shown)) <= set(np.arange(1.0, turn + 2))
    if turn == 0:
      np.testing.assert_array_equal(shown, new)
  assert sorted(np.unique(pool['images'])) == [4.0, 5.0]
  shown, _ = image_pool.mix(pool, jnp.full((4000, 1), 9.0), key, 0.25)
  assert abs(float((shown != 9.0).mean()) - 0.25) < 0.03


def test_dropout_keeps_the_mean_and_follows_the_example(key):
  x = jnp.ones((64, 100))
  drop = layers.Dropout(0.3)
  apply = lambda x, active: drop.apply(
    {}, x, active=active, rngs={'dropout': key}
  )
  found = apply(x, True)
  np.testing.assert_allclose(found.mean(), 1.0, atol=0.05)
  np.testing.assert_allclose((found == 0).mean(), 0.3, atol=0.03)
  np.testing.assert_array_equal(apply(x[:8], True), found[:8])
  np.testing.assert_array_equal(apply(x, False), x)


def test_dropout_at_test_makes_images_random_without_training(key):
  z = jnp.ones((2, 4))
  for at_test in (False, True):
    net = dcgan.Generator(
      SHAPE, (8, 8), (2, 2), dropout=0.5, dropout_at_test=at_test
    )
    variables = net.init(key, z, train=False)
    one, two = (
      net.apply(variables, z, train=False, rngs={'dropout': jax.random.key(k)})
      for k in (1, 2)
    )
    assert (float(jnp.abs(one - two).max()) > 1e-4) == at_test


def test_virtual_batch_norm_makes_examples_independent(key):
  inner = mlp.Generator(SHAPE, (8,), norm='virtual', reference_size=16)
  net = norms.VirtualBatch(inner, 16, latents_lib.single('normal', 4))
  variables = net.init(key, Z, train=False)
  whole = net.apply(variables, Z, train=True)
  assert whole.shape == (8, *SHAPE)
  part = net.apply(variables, Z[:3], train=True)
  chex.assert_trees_all_close(part, whole[:3], atol=1e-6)


def test_virtual_batch_norm_is_batch_norm_of_a_large_reference(key):
  reference = 3.0 + 2.0 * jax.random.normal(key, (5000, 4))
  layer = norms.VirtualBatchNorm(5000)
  x = jnp.concatenate([reference, jnp.ones((2, 4))])
  found = layer.apply(layer.init(key, x), x)
  np.testing.assert_allclose(found[:5000].mean(0), 0.0, atol=1e-3)
  np.testing.assert_allclose(found[:5000].std(0), 1.0, atol=1e-3)
  np.testing.assert_allclose(found[5000:], -1.0, atol=0.05)


def test_minibatch_layers_see_the_other_examples(key):
  x = jax.random.normal(key, (6, 4))
  same = jnp.repeat(x[:1], 6, axis=0)
  stddev = norms.MinibatchStddev()
  channel = stddev.apply({}, x)[:, -1]
  np.testing.assert_allclose(channel, x.std(axis=0).mean(), rtol=1e-4)
  assert float(stddev.apply({}, same)[0, -1]) < 1e-2
  closeness = norms.MinibatchDiscrimination(3, 2)
  variables = closeness.init(key, x)
  np.testing.assert_allclose(
    closeness.apply(variables, same)[:, 4:], 1.0, rtol=1e-4
  )
  assert float(closeness.apply(variables, x)[:, 4:].max()) < 0.9


@pytest.mark.slow
def test_labelled_images_teach_the_classifier(key):
  """Two classes that brightness tells apart, one labelled example each."""
  method = make(
    discriminator=mlp.Discriminator(
      (16,), num_classes=2, conditioning='classes'
    ),
    discriminator_optimizer=optax.adam(1e-2),
    adversarial=0.0,
    feature_matching=1.0,
    labelled=1.0,
  )
  image = jnp.where(jnp.arange(8)[:, None, None, None] % 2, 0.5, -0.5)
  image = image + 0.1 * IMAGES
  batch = {'image': image, 'label': BATCH['label']}
  batch |= {
    f'labelled_{k}': jnp.tile(v[:2], (4,) + (1,) * (v.ndim - 1))
    for k, v in batch.items()
  }
  state = gan.init(method, key)
  before = gan.evaluate(method, state, batch)
  step = gan.train_step
  for _ in range(100):
    state, metrics = step(method, state, batch, key)
  scores = gan.evaluate(method, state, batch)
  assert float(scores['discriminator/held_out_error']) == 0.0
  assert float(metrics['discriminator/labelled_loss']) < 0.2
  assert 'discriminator/held_out_error' in before


@pytest.mark.slow
def test_classes_of_fakes_are_learnt_with_an_auxiliary_head(key):
  method = make(
    generator=mlp.Generator(SHAPE, (8,), num_classes=2),
    discriminator=dcgan.Discriminator(
      (4,), dropout=0.0, num_classes=2, conditioning='auxiliary'
    ),
    num_classes=2,
    auxiliary=1.0,
  )
  state = gan.init(method, key)
  state, metrics = gan.train_step(method, state, BATCH, key)
  for name in ('real_class_loss', 'fake_class_loss'):
    np.testing.assert_allclose(
      metrics[f'discriminator/{name}'], np.log(2), atol=0.5
    )
  assert 'generator/class_loss' in metrics


def test_a_projection_is_linear_in_the_embedding(key):
  """Miyato and Koyama 2018, equation 3: psi(phi) + <embedding, phi>."""
  net = dcgan.Discriminator(
    (4,), dropout=0.0, num_classes=2, conditioning='projection'
  )
  label = jnp.array([0, 1] * 4)
  variables = net.init(key, IMAGES, label, train=False)
  zero = jax.tree.map(jnp.copy, variables)
  zero['params']['Embed_0']['embedding'] *= 0.0
  double = jax.tree.map(jnp.copy, variables)
  double['params']['Embed_0']['embedding'] *= 2.0
  at = lambda v: net.apply(v, IMAGES, label, train=False)
  np.testing.assert_allclose(
    at(double) - at(zero), 2.0 * (at(variables) - at(zero)), atol=1e-5
  )


# What tells each kind from the others, of latents [5000, 4].
DEFINING = {
  'normal': lambda z: (
    abs(z.mean()) < 0.03 and abs(z.std() - 1.0) < 0.03 and abs(z).max() > 3.0
  ),
  'uniform': lambda z: (
    -1.0 <= z.min() < -0.99
    and 0.99 < z.max() < 1.0
    and abs(z.std() - 3**-0.5) < 0.01
  ),
  'sphere': lambda z: np.allclose(np.linalg.norm(z, axis=1), 2.0, rtol=1e-4),
  'categorical': lambda z: np.array_equal(np.unique(z), [0.0, 1.0]),
}


@pytest.mark.eight_devices
@pytest.mark.parametrize('name', noise.LATENTS)
def test_latents_have_their_law_and_follow_the_example(name, key):
  """On the sphere of radius sqrt(d), directions are uniform."""
  z = noise.LATENTS[name](key, 5000, (4,))
  assert [k for k, has in DEFINING.items() if has(np.asarray(z))] == [name]
  if name == 'categorical':
    np.testing.assert_allclose(z.mean(axis=0), 0.25, atol=0.03)
  else:
    correlation = np.corrcoef(z, rowvar=False) - np.eye(4)
    assert np.abs(correlation).max() < 0.06
    assert np.abs(z.mean(axis=0)).max() < 0.06
  np.testing.assert_array_equal(noise.LATENTS[name](key, 3, (4,)), z[:3])
  mapped = jax.pmap(
    lambda _: noise.LATENTS[name](key, 2, (4,)), axis_name='data'
  )
  many = mapped(jnp.arange(jax.device_count())).reshape(-1, 4)
  np.testing.assert_allclose(many, z[: len(many)], rtol=1e-6)


@pytest.mark.parametrize('name', noise.LATENTS)
def test_latents_of_every_kind_train(name, key):
  """They are what the step draws: another kind gives another generator."""
  moved = {}
  for kind in {name, 'normal'}:
    method = make(latent=kind)
    state = gan.init(method, key)
    step = gan.train_step
    after, metrics = step(method, state, BATCH, key)
    chex.assert_tree_all_finite((after, metrics))
    moved[kind] = float(metrics['generator/loss'])
  assert len(set(moved.values())) == len(moved)
