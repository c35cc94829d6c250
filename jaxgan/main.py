"""Flags, and which job to do.

  python -m jaxgan.main --config=configs/gan_mnist.py --workdir=runs/gan_mnist
  python -m jaxgan.main --mode=sample --workdir=runs/gan_mnist --num=64
  python -m jaxgan.main --mode=export --workdir=runs/gan_mnist

Exit codes: 0 done, and the last checkpoint is verified; 1 a bug; 2 a wrong
flag, config, workdir or data; 3 a value that is not finite; 4 a checkpoint that
can't be written or read; 5 processes that do not answer; 130 after Ctrl-C and
143 after SIGTERM, with the state saved.
"""

import importlib.util
import json
import logging
import os
import pathlib
import re
import sys
import traceback

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags

from jaxgan import errors

_CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'Config file, as configs/gan_mnist.py or with :variant.'
)
_WORKDIR = flags.DEFINE_string(
  'workdir', '', 'Folder of the run. Derived from the config if not given.'
)
_MEMBER = flags.DEFINE_integer(
  'member', None, 'Of a population; needed but where all are evaluated.'
)
# Of --mode=sample; see `jaxgan.request.Request`.
_SAMPLE = [
  flags.DEFINE_integer(
    'num',
    None,
    'Images (100, to complete or invert 64); rows of --walk (10); latents on a '
    'path of an animation (8).',
  ),
  flags.DEFINE_integer('seed', 0, 'Seed of the latents.'),
  flags.DEFINE_enum(
    'format',
    'grid',
    ['grid', 'images', 'gif', 'mp4'],
    'One PNG; a PNG for each image; or an animation through latents.',
  ),
  flags.DEFINE_string(
    'labels',
    None,
    'Of a conditional run: classes by name or number, as 3,3,7: an image, row '
    'or path for each; or all, in columns.',
  ),
  flags.DEFINE_integer(
    'walk', None, 'Dimension of latents that changes along the rows of a grid.'
  ),
  flags.DEFINE_integer(
    'paths', None, 'Paths that an animation shows side by side (1).'
  ),
  flags.DEFINE_float('frames_per_second', None, 'Of an animation (20).'),
  flags.DEFINE_float(
    'seconds', None, 'Length of an animation (one for each latent).'
  ),
  flags.DEFINE_integer(
    'palette', None, 'Colours, of those of training images; 0 is all.'
  ),
  _MEMBER,
]

# Of --mode=evaluate, with --num and --seed; see `jaxgan.evaluate.Request`.
_EVALUATE = [
  flags.DEFINE_string(
    'steps', None, 'Checkpoints: newest, all, or steps as 1000,2000 (newest).'
  ),
  flags.DEFINE_bool(
    'follow', None, 'Goes on with every checkpoint until the run is done.'
  ),
  flags.DEFINE_list('scores', None, 'Keys of scores.SCORES (all).'),
  flags.DEFINE_string(
    'features', None, 'Of images: classifier, or inception:PATH (classifier).'
  ),
]
# Of --mode=replay; see `jaxgan.postmortem`.
_REPLAY = [
  flags.DEFINE_integer(
    'round', None, 'The last to try, shown even if finite (all of the run).'
  ),
]
# Of --mode=invert, with --num, --seed and --labels; see
# `jaxgan.incomplete.Request`.
_INVERT = [
  flags.DEFINE_string(
    'images', None, 'Folder of images to take (held-out ones of the run).'
  ),
  flags.DEFINE_integer(
    'restarts', None, 'First latents tried for every image (4).'
  ),
  flags.DEFINE_integer('iterations', None, 'Updates of the latents (300).'),
]
# Of --mode=complete, with those of --mode=invert.
_COMPLETE = [
  flags.DEFINE_string(
    'mask',
    'centre',
    'What is missing: random, centre, half, grid, low_resolution, or a picture '
    'that is black there.',
  ),
  flags.DEFINE_bool('blend', None, 'Poisson blending of holes.'),
]
_OF_MODE = {
  'train': [],
  'sample': _SAMPLE,
  'evaluate': [*_SAMPLE[:2], *_EVALUATE, _MEMBER],
  'export': [_MEMBER],
  'replay': _REPLAY,
  'invert': [*_SAMPLE[:2], _SAMPLE[3], *_INVERT, _MEMBER],
  'complete': [*_SAMPLE[:2], _SAMPLE[3], *_INVERT, *_COMPLETE, _MEMBER],
}

_MODE = flags.DEFINE_enum('mode', 'train', list(_OF_MODE), 'What to do.')


def _parse_flags(argv):
  """Absl's parser, with one line for a wrong flag instead of a traceback."""
  try:
    return flags.FLAGS(argv)
  except Exception as error:  # ml_collections raises many kinds.
    _fail(_flag_problem(argv, error))


def _flag_problem(argv, error: Exception) -> errors.UserError:
  """Says which field is wrong and which there are."""
  if isinstance(error, (AttributeError, KeyError)):
    known = _known_fields(argv)
    if known:
      return errors.UserError(known)
  # Of an error in a config file, ml_collections gives the whole traceback.
  reason = str(error).strip() or repr(error)
  if 'Traceback' in reason:
    reason = reason.splitlines()[-1].strip()
  reason = reason.removeprefix(f'{errors.__name__}.UserError: ')
  if isinstance(error, flags.Error):
    match = re.fullmatch(r"flag (--.*?=.*?): \('Non-boolean .*", reason)
    if match:
      reason = f'{match[1]} must be True or False'
    return errors.UserError(reason)
  return errors.UserError(f'--config: {type(error).__name__}: {reason}')


def _known_fields(argv) -> str | None:
  """Names the first field that the config lacks, and its neighbours."""
  files = [a.split('=', 1)[1] for a in argv if re.match(r'--?config=', a)]
  if not files:
    return None
  path, *variant = files[-1].split(':')
  spec = importlib.util.spec_from_file_location('config', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config(*variant)
  for argument in argv:
    match = re.match(r'--?(?:no)?config\.([^=]+)', argument)
    node = config
    for name in match.group(1).split('.') if match else ():
      if not hasattr(node, 'keys') or name not in node:
        known = ', '.join(sorted(node)) if hasattr(node, 'keys') else 'none'
        return f'there is no field {match.group(1)!r}; known here: {known}'
      node = node[name]
  return None


def _fail(error: errors.UserError) -> None:
  # Names of files and fields may hold anything; a terminal obeys some of it.
  said = ''.join(c if c.isprintable() else repr(c)[1:-1] for c in str(error))
  print(f'error: {said}', file=sys.stderr, flush=True)
  _leave(error.exit_code)


def _leave(code: int) -> None:
  """Ends the process; at exit it would wait for the others of its run."""
  if _is_connected():
    _end(code)
  sys.exit(code)


def _end(code: int) -> None:
  """Ends the process without what Python does at exit."""
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


def _is_connected() -> bool:
  jax = sys.modules.get('jax')
  return jax is not None and jax.distributed.is_initialized()


def _connect() -> None:
  """Joins the other processes, of which one speaks."""
  from jaxgan.training import processes

  processes.connect()
  if not processes.is_first():
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    logging.getLogger('jaxgan').setLevel(logging.WARNING)


def _refuse_others(mode: str) -> None:
  """Raises for flags that another mode reads."""
  readers = {}
  for reader, known in _OF_MODE.items():
    for flag in known:
      readers.setdefault(flag.name, []).append(reader)
  for name, modes in readers.items():
    if mode not in modes and flags.FLAGS[name].present:
      raise errors.UserError(
        f'--{name} is for --mode={" or ".join(modes)}; fields of the config '
        'are set by --config.FIELD'
      )


def main(argv) -> None:
  if len(argv) > 1:
    raise errors.UserError(f'unknown argument {argv[1]!r}; flags begin with --')
  mode = _MODE.value
  _refuse_others(mode)
  if mode != 'train' and not _WORKDIR.value:
    raise errors.UserError(f'--mode={mode} needs --workdir')
  if mode != 'train' and flags.FLAGS['config'].present:
    raise errors.UserError(
      f'--config is for --mode=train; --mode={mode} takes that of --workdir'
    )
  if mode == 'sample':
    from jaxgan.modes import sample

    request = {flag.name: flag.value for flag in _SAMPLE}
    print(sample.sample(_WORKDIR.value, **request))
    return
  if mode == 'evaluate':
    from jaxgan.modes import evaluate

    given = {
      flag.name: flag.value
      for flag in _OF_MODE['evaluate']
      if flag.value is not None
    }
    evaluate.evaluate(_WORKDIR.value, evaluate.Request(**given))
    return
  if mode == 'export':
    from jaxgan.modes import export

    print(export.export(_WORKDIR.value, _MEMBER.value))
    return
  if mode == 'replay':
    from jaxgan.modes import replay

    replay.replay(_WORKDIR.value, flags.FLAGS['round'].value)
    return
  if mode in ('complete', 'invert'):
    from jaxgan.modes import complete, held_out

    given = {
      flag.name: flag.value for flag in _OF_MODE[mode] if flag.value is not None
    }
    found = complete.complete(_WORKDIR.value, held_out.Request(**given))
    print(json.dumps(found))
    return
  flag = flags.FLAGS['config']
  if not flag.present:
    raise errors.UserError('--config is missing; try configs/gan_mnist.py')
  path = config_flags.get_config_filename(flag)
  if not pathlib.Path(path.partition(':')[0]).is_file():
    raise errors.UserError(f'--config={path}: there is no such file')
  workdir = _WORKDIR.value
  if not workdir:
    from jaxgan.training import workdir as workdir_lib

    workdir = workdir_lib.derived_workdir(
      path, config_flags.get_override_values(flag)
    )
    print(f'workdir: {workdir}')
  _connect()
  from jaxgan.modes import train

  train.train(_CONFIG.value, workdir)


def _run(argv) -> None:
  # Orbax and JAX say a lot through absl, and orbax' threads print tracebacks of
  # what fails. It reaches us as an exception all the same.
  absl_logging.set_verbosity(absl_logging.FATAL)
  sys.unraisablehook = lambda unraisable: None
  handler = logging.StreamHandler()
  handler.setFormatter(logging.Formatter('%(message)s'))
  logger = logging.getLogger('jaxgan')
  logger.addHandler(handler)
  logger.setLevel(logging.INFO)
  logger.propagate = False
  try:
    main(argv)
  except errors.UserError as error:
    _fail(error)
  except OSError as error:
    _fail(errors.StorageError(f'{error}; mend that and start again to go on'))
  except errors.Stopped as stop:
    print(stop)
    # A compilation that is under way would crash at exit.
    _end(stop.exit_code)
  except Exception as error:
    if lower := errors.out_of_memory(error):
      _fail(lower)
    if not _is_connected():
      raise
    traceback.print_exc()
    _leave(1)


if __name__ == '__main__':
  app.run(_run, flags_parser=_parse_flags)
