"""Unusual values of every field: refused with its name, or accepted and run."""

import collections
import contextlib
import functools
import pathlib

import chex
import jax
import ml_collections
import pytest
from accepted_values import ACCEPTED, REFUSED_BY_RUNS, VALUES
from runs import ROOT, Cut, module

from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.config import algorithms
from jaxgan.training import caches, loop
from jaxgan.training import run as run_lib

FILES = sorted((ROOT / 'configs').glob('*.py'))
SIDE = 24  # of images in these runs


def shrink(node):
  """Sets few units in every layer."""
  for name, value in node.items():
    if name == 'widths' or name == 'cardinality':
      node[name] = (4,) * len(value)
    elif name in ('hidden', 'bottleneck', 'features', 'blocks'):
      node[name] = value if isinstance(value, tuple) else min(value, 4)
    elif hasattr(value, 'items'):
      shrink(value)


def small(config):
  """Returns a config with few units, images and rounds."""
  config = config.copy_and_resolve_references()
  shrink(config)
  classes = ('nw', 'se') if config.data.get('unpaired') else ()
  config.data.update(source='toy', name='random', classes=classes, held_out=0.0)
  config.data.update(image_size=SIDE, channels=1)
  if 'labelled' in config.data:
    config.data.labelled = 4
  config.update(batch_size=4, num_steps=2, sample_every=0, eval_every=0)
  return config


@functools.cache
def distinct_fields() -> list:
  """Returns pairs of a small config and the fields that are new in it.

  A field is new if no earlier config of the method has it. Fields of the loop
  and of the data are the same for all methods.
  """
  known = {table['method'].default for table in algorithms.TABLES[:-1]}
  common = config_lib.flatten(config_lib.defaults()).keys()
  seen, pairs = set(), []
  for path in FILES:
    for variant in module(path).VARIANTS:
      config = module(path).get_config(variant)
      if config.method not in known:  # A new method may declare no ranges.
        continue
      keys = {
        ('' if name in common else config.method, name)
        for name in config_lib.flatten(config)
      }
      if new := keys - seen:
        pairs.append((small(config), sorted(name for _, name in new)))
        seen |= new
  return pairs


def changed(config, values):
  """Returns a config with other values, of any type, by dotted name."""
  settings = config.to_dict()
  for name, value in values.items():
    *groups, last = name.split('.')
    node = settings
    for group in groups:
      node = node[group]
    node[last] = value
  return ml_collections.ConfigDict(settings)


def problems(config, values) -> str:
  """Returns the message that refuses a config, or ''."""
  try:
    config_lib.validate(changed(config, values))
  except errors.UserError as error:
    return f'; {error}'
  return ''


# Fields that change which other values are valid.
def is_apart(name: str) -> bool:
  return name in ('method', 'data.image_size', 'data.max_pixels')


@functools.cache
def valid() -> dict:
  """Returns {(index of the config, field): values that validation accepts}."""
  found = collections.defaultdict(list)
  for index, (config, names) in enumerate(distinct_fields()):
    parts = [[name] for name in names if is_apart(name)]
    parts.append([n for n in names if n.endswith('.name')])
    parts.append([n for n in names if not is_apart(n) and n not in parts[-1]])
    for part in filter(None, parts):
      for value in VALUES.values():
        message = problems(config, dict.fromkeys(part, value))
        assert '\n' not in message
        for name in part:
          if f'; {name}=' not in message and not (message and is_apart(name)):
            found[index, name].append(value)
  return dict(found)


def row_of(method: str, name: str, value):
  """Returns the row with a value of a field, or None."""
  for row in (*REFUSED_BY_RUNS, *ACCEPTED):
    if row.has(method, name) and value in (*row.values, *row.overflow):
      return row
  return None


@functools.cache
def rows() -> dict:
  """Returns {(index of the config, field, text of the value): row or None}."""
  return {
    (index, name, value): row_of(
      distinct_fields()[index][0].method, name, value
    )
    for (index, name), values in valid().items()
    for value in values
  }


def test_every_field_refuses_values_or_has_a_reason():
  no_reason = [key for key, row in rows().items() if row is None]
  assert not no_reason


def test_every_reason_is_needed():
  used = collections.defaultdict(set)
  for (_, _, value), row in rows().items():
    used[row].add(value)
  for row in (*ACCEPTED, *REFUSED_BY_RUNS):
    assert used[row] == {*row.values, *row.overflow}, row


def build(config):
  """Returns a built run; nothing is compiled."""
  run = run_lib.Training(config, pathlib.Path('nowhere'))
  run.build()
  return run


def test_runs_name_the_field_that_they_refuse():
  for (index, name, value), row in rows().items():
    if row in REFUSED_BY_RUNS:
      config = changed(distinct_fields()[index][0], {name: value})
      with pytest.raises(errors.UserError) as caught:
        build(config)
      assert name in str(caught.value), (name, value)


LAYERS = 4  # The last has values whose runs may overflow.


@functools.cache
def layers() -> dict:
  """Returns {(index of the config, layer): values by field}.

  A layer has at most one value of each field, so its values are tried together.
  """
  found = collections.defaultdict(dict)
  for (index, name, value), row in rows().items():
    if row in REFUSED_BY_RUNS:
      continue
    layer = LAYERS - 1
    if value in row.values:
      layer = min(row.values.index(value), layer)
    if row.alone:
      layer = f'{name}={value}'
    found[index, layer][name] = value
  return dict(found)


def shapes(config) -> None:
  """Traces a round of a config."""
  run = build(config)
  draws = run.algorithm.batches_per_round(run.method)
  batch = {
    name: jax.ShapeDtypeStruct(
      (config.batch_size * draws, *x.shape[1:]),
      'int32' if name.endswith('label') else 'float32',
    )
    for name, x in run.dataset.arrays().items()
  }
  step = functools.partial(run.algorithm.train_step, run.method)
  before = run.states.like()
  after, _ = jax.eval_shape(step, before, batch, jax.random.key(0))
  chex.assert_trees_all_equal_shapes_and_dtypes(before, after)


# Configs with most fields of a method that is quick to trace.
QUICK = ('autoencoder', 'classifier', 'gan', 'inpaint', 'vae')


@pytest.mark.parametrize('method', QUICK)
def test_accepted_values_keep_shapes_of_the_state(method):
  index = next(
    i for i, (c, _) in enumerate(distinct_fields()) if c.method == method
  )
  shapes(changed(distinct_fields()[index][0], layers()[index, 0]))


def train(config, workdir) -> None:
  """Trains two rounds, or all if there are fewer.

  Raises:
    NotFinite: if a metric or a weight is not finite.
  """
  advance = run_lib.Training.advance

  def advance_twice(run, rounds):
    if run.step >= 2:
      run.window.means()  # Raises for metrics that are not finite.
      raise Cut
    return advance(run, rounds)

  with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Cut):
    patch.setattr(run_lib.Training, 'advance', advance_twice)
    patch.setattr(caches, 'RUNS', 1)  # Programs of unusual values are large.
    loop.train(config, workdir)


def failure(config, values, workdir) -> str:
  """Returns the reason why a run with some values fails, or ''."""
  overflows = any(
    value in row_of(config.method, name, value).overflow
    for name, value in values.items()
  )
  try:
    train(changed(config, values), workdir)
  except errors.NotFinite as error:
    return '' if overflows else str(error)
  except Exception as error:  # All failures are listed.
    return f'{type(error).__name__}: {error}'
  return ''


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize('index', range(len(distinct_fields())))
def test_accepted_values_train(index, tmp_path):
  """All values of a layer in one run; after a failure, each of them alone."""
  config, _ = distinct_fields()[index]
  failures = {}
  for number, (key, values) in enumerate(layers().items()):
    if key[0] != index:
      continue
    if reason := failure(config, values, tmp_path / f'{number}'):
      failures[key[1]] = reason
      alone = {
        f'{name}={value!r}': failure(
          config, {name: value}, tmp_path / f'{number}-{name}'
        )
        for name, value in values.items()
        if len(values) > 1
      }
      failures |= {name: text for name, text in alone.items() if text}
  assert not failures
