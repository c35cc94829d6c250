"""Adversarial flow models: transport, its gradient, any step, refusals."""

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import ROOT, module

from jaxgan import adversarial_flow, errors
from jaxgan.adversarial import tricks
from jaxgan.adversarial.regularisers import Difference
from jaxgan.adversarial.terms import Scene, of_weights
from jaxgan.config import schedules
from jaxgan.core import latents as latents_lib
from jaxgan.core import state as state_lib
from jaxgan.core.state import Output
from jaxgan.data.dataset import Spec
from jaxgan.models import mlp
from jaxgan.steps import adversarial_flow as flow_lib
from jaxgan.steps import gan

flow = compiled.Compiled(adversarial_flow)

SHAPE = (4, 4, 1)
IMAGES = jax.random.uniform(jax.random.key(1), (8, *SHAPE), minval=-1.0)


def config(**changed):
  config = module(ROOT / 'configs' / 'afm_mnist.py').get_config()
  config.batch_size, config.latent_size, config.schedules = 8, 16, ''
  for network in (config.generator, config.discriminator):
    network.update(depth=1, width=8, heads=1, patch=2)
  config.update_from_flattened_dict(changed)
  return config.lock()  # as of the command line


def scene(images, z, times=None):
  batch = {} if times is None else {'times': times}
  empty = dict.fromkeys(Scene._fields)
  return Scene(**empty | {'generated': Output(images), 'z': z, 'batch': batch})


def test_transport_is_the_mean_square_of_the_way():
  z = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
  images = np.zeros((2, 2, 2, 1))
  images[1, 1, 1, 0] = 3.0
  found = flow_lib.transport(scene(jnp.asarray(images), jnp.asarray(z)))
  np.testing.assert_allclose(found, (5 / 4 + 4 / 4) / 2)


def test_transport_of_any_step_is_divided_by_its_length():
  """Steps below 0.001 count as 0.001."""
  z, images = jnp.zeros((3, 4)), jnp.ones((3, 2, 2, 1))
  times = jnp.array([[1.0, 0.0], [0.75, 0.5], [0.3, 0.3]])
  found = flow_lib.transport(scene(images, z, times))
  np.testing.assert_allclose(found, (1 / 1 + 1 / 0.25 + 1 / 0.001) / 3)


def test_penalties_of_any_step_are_multiplied_by_its_length(monkeypatch):
  values = jnp.array([3.0, 5.0])
  monkeypatch.setattr(Difference, 'values', lambda self, scene: values)
  times = jnp.array([[1.0, 0.5], [0.0, 0.0], [0.4, 0.4], [0.0, 0.0]])
  of = scene(None, None, times)
  found = flow_lib.WeightedDifference('real', 0.01, stride=2)(of)
  np.testing.assert_allclose(found, (0.5 * 3.0 + 0.001 * 5.0) / 2, rtol=1e-6)


def small_flow(weight, adversarial=1.0, average=0.9):
  return flow_lib.AdversarialFlow(
    mlp.Generator(SHAPE, (8,), norm='none', bounded=False),
    mlp.Discriminator((8,)),
    latents=latents_lib.single('normal', 16),
    adversarial=adversarial,
    generator_terms=of_weights(('transport', flow_lib.transport, weight, ())),
    tricks=tricks.build(gradient_average=average),
  )


def test_only_the_adversarial_gradient_is_normalised(key):
  """The gradient at G(z) has a norm of 1 / sqrt(numbers), and then OT's."""
  method = small_flow(0.5)
  state = gan.init(method, key)
  z = method.latents.sample(key, 8)
  networks = state_lib.bind(method, state)
  params = state.networks['generator'].params

  def run(params):
    return state_lib.bind(method, state, {'generator': params})['generator'](
      z, key=key
    ).images

  def total(weight, adversarial, average=0.9):
    of = small_flow(weight, adversarial, average)

    def loss(params):
      own = state_lib.bind(of, state, {'generator': params})
      return gan.generator_loss(of, own, state, {'image': IMAGES}, z, key)[0]

    return jax.grad(loss)(params)

  def at_output(images):
    logits = networks['discriminator'](images, key=key).logits
    return jnp.mean(jax.nn.softplus(-logits))

  made, pull = jax.vjp(run, params)
  slope = jax.grad(at_output)(made)
  unit = slope / jnp.sqrt(slope.size * jnp.sum(slope**2))
  moved = (2 / made.size) * (made - z.reshape(made.shape))

  def check(found, cotangent):
    (expected,) = pull(cotangent)
    for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)

  check(total(0.5, 1.0), unit + 0.5 * moved)
  check(total(0.5, 100.0), unit + 0.5 * moved)
  check(total(0.5, 1.0, average=0.0), slope + 0.5 * moved)
  check(total(0.0, 1.0), unit)


def test_images_of_any_step_are_between_data_and_noise(key):
  method = flow.from_config(config(any_step=True), Spec(SHAPE))
  image = jnp.full((64, *SHAPE), 100.0)
  batch, source = method.inputs({'image': image}, key)
  s, t = batch['times'].T
  assert bool(jnp.all((t <= s) & (t >= 0) & (s < 1)))
  assert 0.3 < float(s.mean()) < 0.7
  assert 0.15 < float(t.mean()) < 0.35
  for x, time in ((batch['image'].reshape(64, -1), t), (source, s)):
    noise = (x - 100 * (1 - time)[:, None]) / jnp.maximum(time, 1e-2)[:, None]
    assert float(jnp.abs(noise[time > 0.1]).max()) < 6
    assert abs(float(noise[time > 0.1].std()) - 1) < 0.1
  difference = batch['image'].reshape(64, -1) - source
  assert float(jnp.abs(difference).max()) > 1.0


@pytest.mark.parametrize('any_step', [False, True])
@pytest.mark.parametrize('conditional', [False, True])
def test_rounds_move_all_networks(any_step, conditional, key):
  changed = dict(any_step=any_step, conditional=conditional)
  method = flow.from_config(config(**changed), Spec(SHAPE, 3, ('a', 'b', 'c')))
  state = first = flow.init(method, key)
  batch = {'image': IMAGES, 'label': jnp.arange(8) % 3}
  for _ in range(3):
    state, metrics = flow.train_step(method, state, batch, key)
  assert all(np.isfinite(x) for x in metrics.values())
  assert float(metrics['generator/transport']) > 0
  for name, network in state.networks.items():
    pairs = zip(
      jax.tree.leaves(network.params),
      jax.tree.leaves(first.networks[name].params),
      strict=True,
    )
    assert all(float(jnp.abs(a - b).max()) > 0 for a, b in pairs)
  assert {f.function.__class__ for f in method.discriminator_terms[:2]} == {
    flow_lib.WeightedDifference if any_step else Difference
  }


def test_samples_in_steps_are_calls_after_each_other(key):
  settings = config(any_step=True, sampling_steps=2, conditional=True)
  settings.generator.predicts = 'velocity'
  method = flow.from_config(settings, Spec(SHAPE, 2, ('a', 'b')))
  state = flow.init(method, key)
  # Other weights than the first, which are the identity.
  state = state.replace(ema=jax.tree.map(lambda x: x + 0.1, state.ema))
  state = flow.use_ema_weights(method, state)
  z, label = jax.random.normal(key, (3, 16)), jnp.array([0, 1, 1])
  generator = state_lib.bind(method, state)['generator']
  x = z
  for pair in ((1.0, 0.5), (0.5, 0.0)):
    times = jnp.broadcast_to(jnp.array([pair]), (3, 2))
    x = generator(x.reshape(3, -1), label, times, train=False).images
  found = flow.decode(method, state, z, label)
  np.testing.assert_allclose(found, x, rtol=1e-4, atol=1e-5)
  assert float(jnp.abs(found - z.reshape(found.shape)).max()) > 0.01
  function, weights, inputs = flow.export_functions(method, state)['generator']
  assert list(inputs) == ['latent', 'label']
  np.testing.assert_allclose(function(weights, z, label), found, rtol=1e-4)


@pytest.mark.parametrize(
  ('changed', 'message'),
  [
    ({'latent_size': 15}, 'Set latent_size=16'),
    ({'transport': -1.0}, 'transport'),
    ({'sampling_steps': 2}, 'sampling_steps=2 is not for any_step=False'),
    ({'any_step': True, 'replay_size': 8}, 'Set replay_size=0'),
    ({'any_step': True, 'pack': 2}, 'Set pack=1'),
    ({'any_step': True, 'penalties.dragan': 1.0}, r'Set penalties\.dragan=0'),
    ({'any_step': True, 'penalties_difference': 0.0}, 'Set penalties_diff'),
    ({'any_step': True, 'generator.name': 'mlp.Generator'}, 'generator'),
  ],
)
def test_settings_that_do_not_fit_are_refused(changed, message):
  with pytest.raises(errors.UserError, match=message):
    flow.from_config(config(**changed), Spec(SHAPE))


def test_weight_of_the_paper_falls_and_stays():
  """0.2 to 0.005 in 100 epochs of ImageNet, then 0.001."""
  settings = module(ROOT / 'configs' / 'afm_mnist.py').get_config('paper')
  found = schedules.read(settings)['transport']
  epochs = np.array([0, 50, 99.99, 101, 200]) * 1.28e6
  values = [float(found.at(images)) for images in epochs]
  expected = [0.2, (0.2 + 0.005) / 2, 0.005, 0.001, 0.001]
  np.testing.assert_allclose(values, expected, rtol=1e-3)
  assert schedules.at_ends(settings).transport == 0.001
