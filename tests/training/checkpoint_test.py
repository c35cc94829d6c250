"""What is saved comes back, and what is damaged is found."""

import functools
import gc
import json
import os
import shutil
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from runs import META

from jaxgan import errors
from jaxgan.metrics import pth
from jaxgan.models import mlp
from jaxgan.steps import gan
from jaxgan.training import (
  checkpoint,
  data_files,
  first_weights,
  manager,
  writers,
)
from jaxgan.training import digests as digests_lib
from jaxgan.training import workdir as workdir_lib


@functools.cache
def make(width=8, optimizer=None) -> gan.GAN:
  return gan.GAN(
    mlp.Generator((4, 4, 1), (width,)),
    mlp.Discriminator((width,)),
    generator_optimizer=optimizer or optax.adam(1e-3),
  )


init = jax.jit(gan.init, static_argnums=0)


def state_of(method, step=0):
  state = init(method, jax.random.key(step))
  return state.replace(step=jnp.int32(step))


def abstract(method):
  sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
    jax.eval_shape(functools.partial(gan.init, method), jax.random.key(0)),
  )


def save(workdir, *saved, keep=10, **options):
  with checkpoint.Checkpoints(workdir, keep, **options) as checkpoints:
    for step in saved:
      checkpoints.save(step, state_of(make(), step), META)


def restore(workdir, method=None):
  with checkpoint.Checkpoints(workdir, keep=10) as checkpoints:
    return checkpoints.restore(abstract(method or make()))


def test_restore_returns_the_saved_bits_and_types(tmp_path):
  save(tmp_path, 7)
  state, meta = restore(tmp_path)
  chex.assert_trees_all_equal(state, state_of(make(), 7))
  assert jax.tree.structure(state) == jax.tree.structure(state_of(make()))
  assert meta['step'] == 7


def test_restore_returns_none_without_checkpoints(tmp_path):
  assert restore(tmp_path) is None


def test_save_keeps_newest_and_periodic_checkpoints(tmp_path):
  save(tmp_path, *range(1, 10), keep=2, keep_period=4)
  assert checkpoint.Checkpoints(tmp_path).steps() == [9, 8, 4]


def test_save_of_the_same_step_does_nothing(tmp_path):
  save(tmp_path, 3, 3)
  assert checkpoint.Checkpoints(tmp_path).steps() == [3]


def test_saves_leave_nothing_in_memory(tmp_path):
  """In a database, each array would leave 4 blocks at each save."""
  state = {str(index): np.full(2, index) for index in range(50)}
  blocks = {}
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    for step in range(30):
      checkpoints.save(step, state, META)
      checkpoints.wait()
      if step in (9, 29):
        gc.collect()
        blocks[step] = sys.getallocatedblocks()
  assert (blocks[29] - blocks[9]) / 20 < 2 * len(state)


def flip_a_bit(folder):
  """In the largest file: the arrays."""
  path = max(
    (p for p in folder.rglob('*') if p.is_file()),
    key=lambda p: p.stat().st_size,
  )
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def truncate(folder):
  for path in folder.rglob('*'):
    if path.is_file() and path.stat().st_size > 500:
      path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove(*parts):
  def damage(folder):
    target = folder.joinpath(*parts)
    shutil.rmtree(target) if target.is_dir() else target.unlink()

  return damage


def garble(*parts):
  return lambda folder: folder.joinpath(*parts).write_bytes(b'garbage')


def empty(folder):
  shutil.rmtree(folder)
  folder.mkdir()


def link(folder):
  shutil.move(folder, folder.with_name('elsewhere'))
  folder.symlink_to(folder.with_name('elsewhere'))


DAMAGES = {
  'bit flip': flip_a_bit,
  'truncated': truncate,
  'empty folder': empty,
  'link': link,
  'no state': remove('state'),
  'no array': remove('state', 'step'),
  'no digests': remove('integrity'),
  'no meta': remove('meta'),
  'no values': remove('state', 'step', '0'),
  'no description': remove('state', 'step', '.zarray'),
  'garbled description': garble('state', 'step', '.zarray'),
  'garbled metadata': garble('state', '_METADATA'),
  'garbled digests': garble('integrity', 'metadata'),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_restore_finds_damage_and_saving_continues(damage, tmp_path, caplog):
  save(tmp_path, 1, 2, 3)
  DAMAGES[damage](tmp_path / 'checkpoints' / '3')
  with checkpoint.Checkpoints(tmp_path, keep=10) as checkpoints:
    state, meta = checkpoints.restore(abstract(make()))
    assert meta['step'] == 2
    chex.assert_trees_all_equal(state, state_of(make(), 2))
    assert 'checkpoint 3 is not valid' in caplog.text
    (moved,) = (tmp_path / 'checkpoints').glob('corrupt-3-*')
    assert moved.is_dir()
    for step in (3, 4):
      checkpoints.save(step, state_of(make(), step), META)
  assert checkpoint.Checkpoints(tmp_path).steps() == [4, 3, 2, 1]
  assert restore(tmp_path)[1]['step'] == 4


def test_restore_ignores_stray_files(tmp_path):
  save(tmp_path, 1)
  folder = tmp_path / 'checkpoints'
  (folder / '99').touch()
  (folder / '7.orbax-checkpoint-tmp').mkdir()
  (folder / 'notes').mkdir()
  assert restore(tmp_path)[1]['step'] == 1


def test_restore_raises_if_no_checkpoint_is_valid(tmp_path):
  save(tmp_path, 1, 2)
  for step in (1, 2):
    flip_a_bit(tmp_path / 'checkpoints' / str(step))
  for _ in range(2):  # Nor at the second try, when all are renamed.
    with pytest.raises(errors.StorageError, match=r'no checkpoint in .* valid'):
      restore(tmp_path)


def test_restore_lists_other_shapes(tmp_path):
  save(tmp_path, 1)
  with pytest.raises(errors.UserError, match='Dense_0/kernel') as caught:
    restore(tmp_path, make(width=9))
  assert 'float32[100, 8] -> float32[100, 9]' in str(caught.value)
  assert checkpoint.Checkpoints(tmp_path).steps() == [1]  # Not set aside.


def test_restore_refuses_another_optimizer(tmp_path):
  save(tmp_path, 1)
  with pytest.raises(errors.UserError, match='opt_state'):
    restore(tmp_path, make(optimizer=optax.sgd(1e-3)))


def test_restore_refuses_other_types(tmp_path):
  """Orbax alone would cast floats to integers without a word."""
  save(tmp_path, 1)
  like = abstract(make())
  like = like.replace(
    step=jax.ShapeDtypeStruct((), jnp.float32, sharding=like.step.sharding)
  )
  with (
    checkpoint.Checkpoints(tmp_path) as checkpoints,
    pytest.raises(errors.UserError, match=r'step: int32\[\] -> float32\[\]'),
  ):
    checkpoints.restore(like)


def test_read_only_checkpoints_rename_nothing(tmp_path):
  save(tmp_path, 1, 2)
  flip_a_bit(tmp_path / 'checkpoints' / '2')
  _, meta = checkpoint.load(tmp_path, abstract(make()))
  assert meta['step'] == 1
  assert checkpoint.Checkpoints(tmp_path).steps() == [2, 1]


def test_load_raises_without_checkpoint(tmp_path):
  with pytest.raises(errors.UserError, match='there is no workdir'):
    checkpoint.load(tmp_path / 'none', abstract(make()))
  with pytest.raises(errors.UserError, match='no valid checkpoint'):
    checkpoint.load(tmp_path, abstract(make()))


def test_verify_reads_the_disk(tmp_path):
  state = state_of(make(), 1)
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(1, state, META)
    checkpoints.verify(1, state)
    with pytest.raises(errors.StorageError, match='reads back differently'):
      checkpoints.verify(1, state.replace(step=jnp.int32(2)))
    flip_a_bit(tmp_path / 'checkpoints' / '1')
    with pytest.raises(errors.StorageError, match='step 1'):
      checkpoints.verify(1, state)


def test_verify_leaves_few_objects(tmp_path):
  """Descriptions of arrays are never freed, see `manager.targets`."""
  state = state_of(make(), 1)
  num_arrays = len(jax.tree.leaves(state))
  counts = []
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(1, state, META)
    for _ in range(4):
      checkpoints.verify(1, state)
      gc.collect()
      counts.append(sys.getallocatedblocks())
  # A description has at least 60 blocks.
  assert counts[-1] - counts[1] < 20 * 2 * num_arrays


def test_failed_save_names_the_intact_checkpoint(tmp_path, monkeypatch):
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(1, state_of(make(), 1), META)
    checkpoints.wait()

    def fail(*args, **kwargs):
      raise OSError('RESOURCE_EXHAUSTED: No space left on device: x')

    monkeypatch.setattr(checkpoints._manager, 'save', fail)
    with pytest.raises(errors.StorageError) as caught:
      checkpoints.save(2, state_of(make(), 2), META)
  assert 'No space left on device' in str(caught.value)
  assert 'step 1 is intact' in str(caught.value)
  assert restore(tmp_path)[1]['step'] == 1


def test_adopt_starts_at_step_zero(tmp_path):
  save(tmp_path, 5)
  fresh = state_of(make(optimizer=optax.sgd(1e-3)), 0)
  found = first_weights.adopt(tmp_path, fresh)
  trained = state_of(make(), 5)
  assert jax.tree.structure(found) == jax.tree.structure(fresh)
  assert found.step == 0
  chex.assert_trees_all_equal(found.ema, trained.ema)
  for name, network in found.networks.items():
    chex.assert_trees_all_equal(network.params, trained.networks[name].params)
    chex.assert_trees_all_equal(
      network.opt_state, fresh.networks[name].opt_state
    )
  with pytest.raises(errors.UserError, match='Dense_0/kernel'):
    first_weights.adopt(tmp_path, state_of(make(width=9)))


def test_digests_depend_on_type_shape_and_bits():
  a = {'x': np.zeros((2, 3), np.float32)}
  assert digests_lib.compute(a) == digests_lib.compute({'x': jnp.zeros((2, 3))})
  for other in (
    np.zeros((3, 2), np.float32),
    np.zeros((2, 3), np.int32),
    -np.zeros((2, 3), np.float32),
  ):
    assert digests_lib.compute(a) != digests_lib.compute({'x': other})


@pytest.mark.parametrize(
  ('fields', 'is_sealed'),
  [
    ({'pending': {'a': [1.0, 3.0]}}, False),  # flipped bits
    ({'digest': 'x'}, False),
    ({'step': 1}, True),
    ({'step': '2'}, True),
    ({'step': -2}, True),
    ({'step': 10**30}, True),
    ({'config': None}, True),
    ({'config': [1]}, True),
    ({'data': 3}, True),
    ({'pending': [1]}, True),
    ({'pending': {'a': 'x'}}, True),
    ({'pending': {'a': [1.0], 'b': []}}, True),
    ({'rules': [1]}, True),
  ],
  ids=str,
)
def test_damaged_meta_is_a_damaged_checkpoint(fields, is_sealed, tmp_path):
  with checkpoint.Checkpoints(tmp_path, keep=3) as checkpoints:
    for step in (1, 2):
      checkpoints.save(
        step, {'x': np.zeros(3)}, META | {'pending': {'a': [1.0, 2.0]}}
      )
  path = tmp_path / 'checkpoints' / '2' / 'meta' / 'metadata'
  meta = json.loads(path.read_text()) | fields
  if is_sealed:
    meta.pop('digest')
    meta = manager.sealed(meta)
  path.write_text(json.dumps(meta))
  _, found = checkpoint.load(tmp_path, None)
  assert found['step'] == 1
  assert found['pending'] == {'a': [1.0, 2.0]}


def test_meta_of_older_code_has_no_digest(tmp_path):
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(1, {'x': np.zeros(3)}, META)
  path = tmp_path / 'checkpoints' / '1' / 'meta' / 'metadata'
  meta = json.loads(path.read_text())
  del meta['digest']
  path.write_text(json.dumps(meta))
  assert checkpoint.load(tmp_path, None)[1]['step'] == 1


SPECIAL = {
  'config.json': lambda folder: workdir_lib.read(folder),
  'metrics.jsonl': lambda folder: writers.JsonLines(
    folder / 'metrics.jsonl', 0
  ),
  'eval.jsonl': lambda folder: writers.append_json_line(
    folder / 'eval.jsonl', {'step': 1}
  ),
  '.lock': lambda folder: workdir_lib.locked(folder).__enter__(),
  'data.jsonl': lambda folder: data_files._read(folder),
  'weights.pth': lambda folder: pth.read(folder / 'weights.pth'),
}


@pytest.mark.parametrize('name', SPECIAL)
def test_pipes_are_refused_instead_of_waited_for(name, tmp_path):
  os.mkfifo(tmp_path / name)
  with pytest.raises((errors.UserError, OSError), match='no regular file'):
    SPECIAL[name](tmp_path)
