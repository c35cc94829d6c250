"""Runs of older formats keep the rules that they were made with."""

import json

import old_workdirs
import pytest
import runs

from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.config import formats
from jaxgan.config.fields import is_group
from jaxgan.training import loop
from jaxgan.training import workdir as workdir_lib

LAST = config_lib.FORMAT


@pytest.fixture
def repaired(monkeypatch):
  """A repair that changed a field of all runs and one of a network."""
  monkeypatch.setattr(
    formats, 'RULES', {LAST: {'data.shuffle': 7, 'none.x': 1}}
  )
  networks = {'mlp.Generator': {'norm': 'batch', 'slope': 0.5}}
  monkeypatch.setattr(formats, 'NETWORK_RULES', {LAST: networks})


def record(**fields):
  network = {'name': 'mlp.Generator', 'slope': 0.2, 'optimizer': {}}
  return {'config': {'data': {}, 'generator': network}, **fields}


def test_rules_of_an_old_run_are_of_fields_that_it_lacks(repaired):
  rules = config_lib.rules_of(record())
  assert rules == {'data.shuffle': 7, 'generator.norm': 'batch'}
  config = record()['config']
  config_lib.apply_rules(config, rules)
  assert config['generator']['norm'] == 'batch'
  assert config['data'] == {'shuffle': 7}
  locked = config_lib.from_json(record()['config']).lock()
  config_lib.apply_rules(locked, rules)
  assert locked.data.shuffle == 7


def test_runs_of_older_formats_keep_their_numbers():
  network = {'optimizer': {'eps': 1e-7}}
  config = {
    'augment': ['cutout'],
    'ema_rampup': 0.0,
    'generator': {'name': 'dcgan.Generator', **network},
    'discriminator': {'name': 'mlp.Discriminator', **network},
  }
  expected = {
    'generator.epsilon': 1e-3,
    'generator.optimizer.keras_eps': False,
    'discriminator.optimizer.keras_eps': False,
    'ema_counts_round': True,
  }
  rules = config_lib.rules_of({'config': config})
  assert rules == expected | {'augment_as_authors': False}
  del config['augment']
  assert config_lib.rules_of({'config': config}) == expected
  config['generator']['name'] = 'translate.ResNet'
  found = config_lib.rules_of({'config': config})
  assert found['generator.padding'] == 'SAME'
  config['generator']['spectral_norm'] = False
  found = config_lib.rules_of({'config': config, 'format': 2})
  assert found == {'ema_counts_round': True, 'generator.spectral_always': True}
  assert config_lib.rules_of({'config': config, 'format': 3}) == {}


def test_every_rule_has_a_workdir_that_needs_it():
  """See tests/fixtures/workdirs."""
  found = set()
  for path in old_workdirs.FOLDER.glob('*/config.json'):
    config = json.loads(path.read_text())['config']
    rules = config_lib.rules_of({'config': config})
    found |= {
      name.partition('.')[2]
      if is_group(config.get(name.split('.')[0]))
      else name
      for name in rules
    } | set(rules)
  networks = [f for t in formats.NETWORK_RULES.values() for f in t.values()]
  for table in (*formats.RULES.values(), *networks):
    assert set(table) <= found


def test_a_new_run_has_the_rules_that_are_written(repaired):
  assert config_lib.rules_of(record(format=LAST)) == {}
  kept = record(format=LAST, rules={'data.shuffle': 7})
  assert config_lib.rules_of(kept) == {'data.shuffle': 7}


@pytest.mark.parametrize('version', [0, LAST + 1, '2', None, True])
def test_an_unknown_format_is_refused(version):
  with pytest.raises(errors.UserError, match=f'reads formats 1 to {LAST}'):
    config_lib.rules_of(record(format=version))


@pytest.mark.slow
def test_an_old_run_resumes_by_its_rule(tmp_path, monkeypatch):
  """Resumed twice: the rule is written down."""
  with monkeypatch.context() as patch:
    patch.setattr(config_lib, 'FORMAT', LAST - 1)
    loop.train(runs.small(num_steps=2), tmp_path)
  path = tmp_path / 'config.json'
  assert json.loads(path.read_text())['format'] == LAST - 1
  networks = {'mlp.Generator': {'norm_first': True}}
  monkeypatch.setattr(formats, 'RULES', {})
  monkeypatch.setattr(formats, 'NETWORK_RULES', {LAST: networks})
  found = workdir_lib.read(tmp_path)
  assert found['config']['generator']['norm_first'] is True
  # A network needs a field that it knows.
  networks['mlp.Generator'] = {'momentum': 0.5}
  for steps in (3, 4):
    loop.train(runs.small(num_steps=steps), tmp_path)
    found = json.loads(path.read_text())
    assert found['rules'] == {'generator.momentum': 0.5}
    assert found['format'] == LAST
