"""Tests that every variant of every config is valid and trains."""

import functools

import chex
import jax
import numpy as np
import pytest
from runs import ROOT, module

from jaxgan import config as config_lib
from jaxgan import data, errors, steps
from jaxgan.core import optim
from jaxgan.training import compile as compile_lib
from jaxgan.training import devices as devices_lib

FILES = sorted((ROOT / 'configs').glob('*.py'))
CASES = [(p, v) for p in FILES for v in getattr(module(p), 'VARIANTS', ('',))]


# The first config of each algorithm.
FIRST = {module(p).get_config().method: p for p in FILES[::-1]}.values()


SIDES = {
  'mnist': 28,
  'far10': 32,
  '_svhn': 32,
  'faces': 32,
  'grams': 64,
  'older': 64,
}


def shallow(node):
  """Sets few equal blocks in a row: the others take as long to trace."""
  for name, value in node.items():
    if name in ('blocks', 'depth', 'outputs'):
      node[name] = (
        min(value, 2) if isinstance(value, int) else (1,) * len(value)
      )
    elif hasattr(value, 'items'):
      shallow(value)


def shrink(node):
  """Sets few units in every layer, because compilation takes most time."""
  for name, value in node.items():
    if name == 'widths':
      node[name] = (4,) * len(value)
    elif hasattr(value, 'items'):
      shrink(value)


@pytest.mark.parametrize(
  ('path', 'variant'),
  [
    pytest.param(
      p,
      v,
      id=f'{p.stem}:{v}',
      marks=[pytest.mark.slow] if v or p not in FIRST else [],
    )
    for p, v in CASES
  ],
)
def test_train_step_keeps_shapes_of_the_state(path, variant):
  """A round is traced, not run."""
  config = module(path).get_config(variant)
  shallow(config)
  config_lib.validate(config)
  dataset, algorithm, method = small(config, path)
  init = functools.partial(algorithm.init, method)
  before = jax.eval_shape(init, jax.random.key(0))
  batch = {
    name: np.zeros(
      (8 * algorithm.batches_per_round(method), *column.shape[1:]), kind
    )
    for name, column in dataset.arrays().items()
    for kind in [np.int32 if name.endswith('label') else np.float32]
  }
  after, metrics = jax.eval_shape(
    functools.partial(algorithm.train_step, method),
    before,
    batch,
    jax.random.key(0),
  )
  chex.assert_trees_all_equal_shapes_and_dtypes(before, after)
  assert all(value.shape == () for value in metrics.values())


def small(config, path):
  """Returns random images, the algorithm and the method of a config."""
  config.batch_size = 8
  classes = ('nw', 'se') if config.data.get('unpaired') else ()
  config.data.update(source='toy', name='random', classes=classes, held_out=0.0)
  config.data.image_size = config.data.image_size or SIDES[path.stem[-5:]]
  config.data.channels = config.data.channels or (
    1 if 'mnist' in path.stem or 'logograms' in path.stem else 3
  )
  dataset = data.load(config.data)
  algorithm = steps.find(config.method)
  return dataset, algorithm, algorithm.from_config(config, dataset.spec)


@pytest.mark.parametrize(
  ('path', 'variant'), CASES, ids=[f'{p.stem}:{v}' for p, v in CASES]
)
def test_from_config_accepts_every_variant(path, variant):
  config = module(path).get_config(variant)
  config_lib.validate(config)
  small(config, path)


@pytest.mark.slow
@pytest.mark.parametrize('path', FILES, ids=[p.stem for p in FILES])
def test_default_variants_train(path):
  """With few units in every layer."""
  config = module(path).get_config()
  shrink(config)
  shallow(config)
  dataset, algorithm, method = small(config, path)
  init = functools.partial(algorithm.init, method)
  engine = devices_lib.make_alone(config.batch_size)
  call = compile_lib.compile_rounds(
    engine,
    functools.partial(algorithm.train_step, method),
    rounds=1,
    draws=algorithm.batches_per_round(method),
    batch_size=config.batch_size,
    resident=True,
  )
  state = engine.replicate(jax.jit(init)(jax.random.key(0)))
  arrays = engine.replicate(dataset.arrays())
  for _ in range(2):
    state, metrics = call(state, arrays, engine.replicate(np.uint32(0)))
  chex.assert_tree_all_finite((state, metrics))
  assert int(state.step) == 2


@pytest.mark.parametrize('path', FILES, ids=[p.stem for p in FILES])
def test_docstring_has_command_and_time(path):
  text = module(path).__doc__
  assert f'--config=configs/{path.name}' in text
  assert '\nTime: ' in text
  assert '\nScore: ' in text


@pytest.mark.parametrize('path', FILES, ids=[p.stem for p in FILES])
def test_unknown_variants_and_fields_are_refused(path):
  with pytest.raises(errors.UserError, match='variant'):
    module(path).get_config('nonsense')
  config = module(path).get_config()
  config.lock()
  with pytest.raises(AttributeError, match='nonsense'):
    config.nonsense = 1


@pytest.fixture
def config():
  return module(ROOT / 'configs' / 'gan_mnist.py').get_config()


SPEC = data.Spec((28, 28, 1), 10, tuple('0123456789'))


def build(config):
  return steps.find(config.method).from_config(config, SPEC)


def test_fields_reach_the_method(config):
  config.update_from_flattened_dict(
    {
      'discriminator_steps': 3,
      'penalties.r2': 2.5,
      'discriminator.spectral_norm': True,
      'conditional': True,
      'latent': 'sphere',
    }
  )
  method = build(config)
  assert method.discriminator_steps == 3
  weights = {term.name: term.weight for term in method.discriminator_terms}
  assert weights == {'r1': 1.0, 'r2': 2.5}
  assert type(method.discriminator).__name__ == 'SpectralNorm'
  assert method.num_classes == method.generator.num_classes == 10


@pytest.mark.parametrize('name', optim.OPTIMIZERS)
def test_from_config_accepts_every_optimizer(config, name):
  config.discriminator.optimizer.name = name
  config.discriminator.optimizer.clip_weights = 0.01
  build(config)


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('loss', 'hing', 'hinge'),
    ('latent', 'gauss', 'normal'),
    ('label_smoothing.real', 0.7, 'label_smoothing'),
    ('generator.name', 'mlp.G', r'mlp\.Generator'),
    ('generator.optimizer.name', 'adan', 'adam'),
    ('generator.optimizer.schedule', 'step', 'cosine'),
    ('generator.optimizer.schedule', 'linear', 'schedule_images=0'),
  ],
)
def test_unknown_names_list_the_known_ones(config, field, value, message):
  config.update_from_flattened_dict({field: value})
  with pytest.raises(errors.UserError, match=message):
    build(config)


def test_unknown_penalties_are_refused_at_any_weight(config):
  with config.unlocked():
    config.penalties.r3 = 0.0
  with pytest.raises(errors.UserError, match='dragan, gradient_penalty, r1'):
    build(config)


def test_optimizers_refuse_options_they_do_not_have(config):
  with config.unlocked():
    config.generator.optimizer.nesterov = True
  with pytest.raises(errors.UserError, match=r'nesterov.*warmup_images'):
    build(config)


def test_conditional_needs_labels(config):
  config.conditional = True
  with pytest.raises(errors.UserError, match='needs labels'):
    steps.find('gan').from_config(config, data.Spec((28, 28, 1)))


def test_generator_of_another_shape_is_refused(config, monkeypatch):
  from jaxgan.models import mlp

  class Fixed(mlp.Generator):
    def __post_init__(self):
      self.shape = (32, 32, 3)
      super().__post_init__()

  monkeypatch.setattr(mlp, 'Generator', Fixed)
  Fixed.__module__ = mlp.__name__
  with pytest.raises(errors.UserError, match=r'32, 32, 3.*28, 28, 1'):
    build(config)


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('batch_size', 0),
    ('num_steps', -1),
    ('log_every', 0),
    ('seed', -1),
    ('seed', 2**32),
    ('generator.optimizer.learning_rate', 0.0),
    ('generator.optimizer.learning_rate', float('nan')),
    ('penalties.r1', -1.0),
    ('generator.widths', (0,)),
    ('penalties.r1', float('inf')),
    ('discriminator_steps', 0),
    ('engine', 'tpu'),
    ('data.resize', 'zoom'),
    ('data.on_bad', 'ignore'),
    ('data.channels', 2),
    ('data.held_out', -0.1),
    ('data.held_out', 1.0),
    ('data.image_size', 100_000),
    ('palette', 257),
  ],
)
def test_values_out_of_range_are_named(config, field, value):
  config.update_from_flattened_dict({field: value})
  with pytest.raises(errors.UserError, match=field.replace('.', r'\.')):
    config_lib.validate(config)


def test_differences_name_what_a_resume_must_not_change(config):
  other = config.copy_and_resolve_references()
  other.update_from_flattened_dict(
    {'num_steps': 5, 'data.path': '/x', 'loss': 'hinge', 'generator.slope': 0.1}
  )
  found = config_lib.differences(config, other)
  assert found == [
    'generator.slope: 0.2 -> 0.1',
    "loss: 'non_saturating' -> 'hinge'",
  ]


def test_from_json_restores_configs(config):
  import json

  back = config_lib.from_json(json.loads(json.dumps(config.to_dict())))
  assert back.to_dict() == config.to_dict()


def test_resumable_fields_exist(config):
  assert set(config_lib.RESUMABLE_FIELDS) <= config_lib.flatten(config).keys()


def test_schedules_count_images():
  rate = optim.learning_rate(1.0, 'linear', 1000, warmup_images=100)
  found = [float(rate(images)) for images in (0, 50, 100, 600, 1100)]
  np.testing.assert_allclose(found, [0.0, 0.5, 1.0, 0.5, 0.0], atol=1e-6)
  rate = optim.learning_rate(2.0, 'cosine', 1000)
  np.testing.assert_allclose(float(rate(500)), 1.0, atol=1e-6)


def test_schedule_takes_effect_in_updates():
  """Two updates of 50 images each, on a rate that is zero after 100."""
  import jax.numpy as jnp

  settings = dict(
    name='sgd',
    learning_rate=1.0,
    b1=0.0,
    b2=0.0,
    eps=0.0,
    schedule='linear',
    schedule_images=100,
  )
  optimizer = optim.build(settings, images_per_update=50)
  params, grads = {'w': jnp.zeros(())}, {'w': jnp.ones(())}
  state, sizes = optimizer.init(params), []
  for _ in range(3):
    updates, state = optimizer.update(grads, state, params)
    sizes.append(-float(updates['w']))
  np.testing.assert_allclose(sizes, [1.0, 0.5, 0.0], atol=1e-6)
