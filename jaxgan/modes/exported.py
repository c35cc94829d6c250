"""Reads exports: weights of networks, without the rest of the state."""

import functools
import json
import pathlib

import flax
import jax
import safetensors
import safetensors.numpy

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.training import digests

ABOUT = 'export.json'
MOST_BYTES = 2**24  # of `export.json`


def is_export(folder: pathlib.Path) -> bool:
  """Returns True for a folder that --mode=export wrote."""
  return (folder / ABOUT).exists()


def step_of(folder: pathlib.Path) -> int:
  """Returns the step of an export."""
  return _about(folder)['step']


def load(folder: pathlib.Path, algorithm, method, step: int | None):
  """Returns a state with the exported networks; the others are untrained.

  Args:
    folder: an export.
    algorithm: an algorithm of `jaxgan.steps`.
    method: the method of the exported run.
    step: the step that is asked for, or None.

  Raises:
    UserError: if a file is damaged or does not fit the config, if the export
      has another step, or if it is not one of a GAN.
  """
  if not algorithm.has_latents:  # Averaged statistics are not exported.
    raise errors.UserError(
      f'{folder} is an export of method={algorithm.name!r}, and only exports '
      'of GANs are runs. Set --workdir to the folder of the run.'
    )
  about = _about(folder)
  if step not in (None, about['step']):
    raise errors.UserError(
      f'step={step}: {folder} is an export of step {about["step"]}. Leave the '
      'step out.'
    )
  init = functools.partial(algorithm.init, method)
  like = jax.eval_shape(init, jax.random.key(0))
  if other := sorted(set(about['functions']) - set(like.ema)):
    raise errors.UserError(
      f'{folder} exports {other[0]!r}, which is a part of a network. Set '
      '--workdir to the folder of the run.'
    )
  state = jax.jit(init)(jax.random.key(0))
  networks, ema = dict(state.networks), dict(state.ema)
  for name in about['functions']:
    tree = weights(folder / f'{name}.safetensors')
    expected = like.networks[name]
    expected = {'params': expected.params, **expected.stats}
    digests.refuse(folder, digests.mismatches(tree, expected))
    # Names in a tree may have slashes, and names in a file are paths.
    tree = digests.with_leaves(expected, digests.paths(tree))
    tree = jax.tree.map(jax.numpy.asarray, tree)
    params = tree.pop('params')
    networks[name] = networks[name].replace(params=params, stats=tree)
    ema[name] = jax.tree.map(jax.numpy.copy, params)
  return state.replace(
    step=jax.numpy.int32(about['step']), networks=networks, ema=ema
  )


def _about(folder: pathlib.Path):
  path = folder / ABOUT
  try:
    if paths.refuse_special(path).stat().st_size > MOST_BYTES:
      raise ValueError(f'more than {MOST_BYTES} bytes')
    about = json.loads(path.read_text(encoding='utf-8'))
    if type(about['step']) is not int or not 0 <= about['step'] < 2**31:
      raise ValueError(f'step={about["step"]!r} is no step')
    if not isinstance(about['functions'], dict):
      raise ValueError('functions must be a group')
  except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
    raise _damaged(path, error) from None
  return about


def weights(path: pathlib.Path):
  """Returns the tree of arrays of a file; raises a UserError if it is none."""
  try:
    flat = safetensors.numpy.load_file(paths.refuse_special(path))
  except (OSError, ValueError, safetensors.SafetensorError) as error:
    raise _damaged(path, error) from None
  return flax.traverse_util.unflatten_dict(flat, sep='/')


def _damaged(path: pathlib.Path, error: Exception) -> errors.UserError:
  return errors.UserError(f'{path} is damaged ({error}). Export the run again.')
