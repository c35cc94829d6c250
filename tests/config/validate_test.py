"""Ranges of config fields: all fields are declared, and bad values refused."""

import math

import flax.linen as nn
import jax
import ml_collections
import pytest
from accepted_values import VALUES

from jaxgan import config as config_lib
from jaxgan import errors, models
from jaxgan.config import algorithms, fields, presets
from jaxgan.core import optim, ranges

BAD = {name: value for name, value in VALUES.items() if name != 'one'}


def changed(config, name: str, value):
  """Returns a config with another value, of any type."""
  settings = config.to_dict()
  *groups, last = name.split('.')
  node = settings
  for group in groups:
    node = node[group]
  node[last] = value
  return ml_collections.ConfigDict(settings)


def refuses(config, name: str) -> bool:
  """Returns True if a config is refused in one line that names the field."""
  try:
    config_lib.validate(config)
  except errors.UserError as error:
    message = str(error)
    assert message.startswith(f'{name}=')
    assert '\n' not in message
    return True
  return False


@pytest.mark.parametrize('value', BAD.values(), ids=BAD)
@pytest.mark.parametrize('name', sorted(models.known()))
def test_networks_refuse_bad_sizes(name, value):
  for field, limits in ranges.of_dataclass(models.known()[name]).items():
    is_stages = field == 'blocks' and limits.is_tuple
    if (
      is_stages
      or field.endswith('widths')
      or field in ('strides', 'slopes', 'cardinality')
    ):
      assert limits.problem(value) or value == (1, 2)
      if field != 'slopes':
        assert limits.problem((value,))
    elif field in ('kernel', 'features', 'bottleneck', 'expansion'):
      assert limits.problem(value)
    elif field in ('hidden', 'code_size', 'blocks', 'minibatch_kernels'):
      assert limits.problem(value) or value == 0


def test_several_names_in_one_text_are_explained():
  config = config_lib.defaults()
  config.eval_scores = ('frechet,kernel',)
  with pytest.raises(errors.UserError) as caught:
    config_lib.validate(config)
  assert (
    "the entry 'frechet,kernel' is unknown. Choose one of: classes, frechet, "
    "kernel, neighbours, pixels. Write several as \"('frechet', 'kernel')\""
  ) in str(caught.value)


def network(name: str, **settings):
  config = config_lib.defaults()
  config.update(presets.game())
  config.generator = dict(name=name, optimizer=presets.optimizer(), **settings)
  return config


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('widths', (0,), 'entry must be in 1..65536'),
    ('widths', (10**9,), 'entry must be in 1..65536'),
    ('widths', 'text', 'must be a tuple of whole numbers, as (64, 128)'),
    ('kernel', 0, 'must be in 1..15'),
    ('kernel', -3, 'must be in 1..15'),
    ('kernel', 10**9, 'must be in 1..15'),
    (
      'norm',
      'group',
      'is unknown. Choose one of: batch, instance, layer, none',
    ),
    ('dropout', 1.0, 'must be in [0, 1)'),
    # Running statistics that never move.
    ('momentum', 1.0, 'must be in [0, 1)'),
    ('name', 'text', 'is unknown. Choose one of: autoencoder.ConvDecoder, '),
    ('spectral_norm', 1, 'must be True or False'),
    ('virtual_batch', -1, 'must be in 0..'),
    ('name', None, 'must be a text'),
    ('optimizer', None, 'must be a group of fields'),
    ('optimizer.learning_rate', 0.0, 'must be positive'),
    ('optimizer.learning_rate', 1e300, 'must be below 3.4e+38'),
    ('optimizer.eps', -1.0, 'must be at least 0'),
    ('optimizer.name', 'foo', 'is unknown. Choose one of: adam, '),
    ('optimizer', {'name': 0}, 'must be a text'),
  ],
)
def test_message_names_the_field_and_the_way_out(field, value, message):
  config = network(
    'dcgan.Generator',
    widths=(4,),
    kernel=3,
    norm='none',
    dropout=0.0,
    momentum=0.9,
  )
  config_lib.validate(config)
  bad = changed(config, f'generator.{field}', value)
  with pytest.raises(errors.UserError) as caught:
    config_lib.validate(bad)
  assert message in str(caught.value)
  assert str(caught.value).startswith(f'generator.{field}')


def test_all_problems_are_listed():
  config = config_lib.defaults()
  config.batch_size, config.data.channels, config.profile_steps = 0, 2, (3, 1)
  with pytest.raises(errors.UserError) as caught:
    config_lib.validate(config)
  assert str(caught.value).split('; ') == [
    'batch_size=0 must be in 1..2147483647',
    'data.channels=2 must be one of 0, 1, 3',
    'profile_steps=(3, 1) must be the first round and the round after the '
    'last, as 100,110',
  ]


def test_image_size_is_compared_with_max_pixels():
  config = config_lib.defaults()
  config.data.image_size, config.data.max_pixels = 100, 29_999
  with pytest.raises(errors.UserError, match=r'data\.image_size=100 is more'):
    config_lib.validate(config)
  config.data.max_pixels = 30_000
  config_lib.validate(config)


def test_fields_of_a_method_have_its_ranges():
  config = config_lib.defaults()
  config.update(presets.classifier())
  config.label_smoothing = 0.9  # A group in other methods.
  config_lib.validate(config)
  assert refuses(
    changed(config, 'label_smoothing', {'real': 0.1}), 'label_smoothing'
  )
  game = config_lib.defaults()
  game.update(presets.game())
  assert refuses(changed(game, 'label_smoothing', 0.1), 'label_smoothing')


def test_new_method_needs_no_declaration():
  """Known fields are checked, and new fields may have any finite value."""
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(method='new', codes='categorical 10', own=3, none=None)
  config_lib.validate(config)
  for name, value in {'own': math.nan, 'pack': 0, 'seed': None}.items():
    assert refuses(changed(config, name, value), name)


def test_new_method_may_declare_its_fields():
  config = config_lib.defaults()
  config.update(method='new', own=3)
  table = {'own': fields.field(3, 1)}
  config_lib.validate(config, table)
  config.own = 0
  config_lib.validate(config)
  with pytest.raises(errors.UserError, match='own=0 must be at least 1'):
    config_lib.validate(config, table)


def test_network_without_ranges_is_checked_by_its_annotations(monkeypatch):
  class Plain(nn.Module):
    shape: tuple[int, ...]
    widths: tuple[int, ...] = (8,)
    slope: int = 0.2  # The default has another type, so any value is valid.
    table: dict | None = None
    name_of_norm: 'str' = 'batch'

  monkeypatch.setattr(models, 'known', lambda: {'mlp.Plain': Plain})
  config = network('mlp.Plain', widths=(3,), slope=0.1, table=None)
  config_lib.validate(config)
  name = 'generator.widths'
  assert refuses(changed(config, name, ('a',)), name)
  assert not refuses(changed(config, 'generator.slope', 0.3), 'generator.slope')


def test_defaults_are_said_once():
  assert presets.game().to_dict() == fields.build(algorithms.GAME).to_dict()
  optimizer = presets.optimizer(b1=0.9)
  assert optimizer.b1 == 0.9
  assert optimizer.eps == optim.Optimizer().eps
  old = config_lib.DEFAULTS_OF_OLD_RUNS
  new = config_lib.defaults()
  new.update(presets.game())
  assert old.items() <= config_lib.flatten(new).items()


def test_ranged_fields_are_fields_of_a_module():
  class Module(nn.Module):
    width: int = ranges.ranged(3, 1, 10)

    @nn.compact
    def __call__(self, x):
      return nn.Dense(self.width)(x)

  assert Module() == Module(3) != Module(4)
  y, _ = Module().init_with_output(jax.random.key(0), jax.numpy.ones((2, 5)))
  assert y.shape == (2, 3)
