"""The command line: defines the flags and calls the function of a mode.

  python -m jaxgan.main --config=configs/gan_mnist.py --workdir=runs/gan_mnist
  python -m jaxgan.main --mode=sample --workdir=runs/gan_mnist --num=64
  python -m jaxgan.main --mode=export --workdir=runs/gan_mnist

The modes and their flags are rows of `jaxgan.modes.MODES`.

Exit codes:

  0    done, and the last checkpoint is verified
  1    a bug
  2    a wrong flag, config, workdir or data
  3    a value that is not finite
  4    a checkpoint that cannot be written or read
  5    processes that do not answer
  130  stopped by Ctrl-C, with the state saved
  143  stopped by SIGTERM, with the state saved
"""

import importlib
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

from jaxgan import errors, modes
from jaxgan.core import buckets
from jaxgan.modes import arguments

_CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'Config file, as configs/gan_mnist.py or with :variant.'
)
_WORKDIR = flags.DEFINE_string(
  'workdir', '', 'Folder of the run (derived from the config).'
)
_MODE = flags.DEFINE_enum(
  'mode', 'train', list(modes.MODES), 'Job; see the table in jaxgan.modes.'
)
# Fields of `config.data` that a mode other than train was given, as texts.
_data_fields: dict[str, str] = {}
_DEFINE = {
  'string': flags.DEFINE_string,
  'integer': flags.DEFINE_integer,
  'float': flags.DEFINE_float,
  'boolean': flags.DEFINE_bool,
  'list': flags.DEFINE_list,
}


def _help(by_mode: dict[str, modes.Flag]) -> str:
  """Returns the help text of a flag, with the modes that read it."""
  texts = {}
  for mode, flag in by_mode.items():
    values = f' Values: {", ".join(flag.values)}.' if flag.values else ''
    texts.setdefault(flag.help + values, []).append(mode)
  return ' '.join(
    f'[{", ".join(names)}] {text}' for text, names in texts.items()
  )


for _name in modes.flag_names():
  _by_mode = modes.modes_of(_name)
  (_kind,) = {flag.kind for flag in _by_mode.values()}
  _DEFINE[_kind](_name, None, _help(_by_mode))


def _parse_flags(argv):
  """Parses flags; a wrong flag gets one line instead of a traceback."""
  home = os.path.expanduser('~')
  argv = [re.sub('^(--?config=)~(?=/)', lambda m: m[1] + home, a) for a in argv]
  try:
    argv, fields = arguments.take_data_fields(argv)
    _data_fields.clear()
    _data_fields.update(fields)
    return flags.FLAGS(argv)
  except Exception as error:  # ml_collections raises many kinds.
    _fail(_flag_problem(argv, error))


def _flag_problem(argv, error: Exception) -> errors.UserError:
  """Returns an error that names the wrong field and the known fields."""
  if isinstance(error, (AttributeError, KeyError)):
    known = _known_fields(argv)
    if known:
      return errors.UserError(known)
  # ml_collections puts the traceback of a broken config file in its message.
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
        return f'there is no field {match.group(1)!r}. Choose one of: {known}'
      node = node[name]
  return None


def _fail(error: errors.UserError) -> None:
  # Names of files and fields may hold characters that control a terminal.
  text = errors.printable(buckets.named(error))
  print(f'error: {text}', file=sys.stderr, flush=True)
  _leave(error.exit_code)


def _leave(code: int) -> None:
  """Ends the process without waiting for the other processes of its run."""
  if _is_connected():
    _end(code)
  sys.exit(code)


def _end(code: int) -> None:
  """Ends the process and skips Python's exit handlers."""
  sys.stdout.flush()
  sys.stderr.flush()
  buckets.clear()
  os._exit(code)


def _is_connected() -> bool:
  jax = sys.modules.get('jax')
  return jax is not None and jax.distributed.is_initialized()


def _check_flags(mode: str) -> None:
  """Raises for flags of other modes and for values that a mode lacks."""
  for name in modes.flag_names():
    by_mode, flag = modes.modes_of(name), flags.FLAGS[name]
    if mode not in by_mode and flag.present:
      raise errors.UserError(
        f'--{name} is for --mode={" or ".join(by_mode)}. Remove it; fields of '
        'the config are set by --config.FIELD.'
      )
    values = by_mode[mode].values if mode in by_mode else ()
    if values and flag.value not in (None, *values):
      raise errors.unknown(f'--{name}', flag.value, values)
  row = modes.MODES[mode]
  if not row.trains:
    is_alone = any(flags.FLAGS[name].present for name in row.alone)
    if not (_WORKDIR.value or row.workdir or is_alone):
      raise errors.UserError(
        f'--mode={mode} needs --workdir. Add the folder of a run.'
      )
    if flags.FLAGS['config'].present:
      raise errors.UserError(
        f'--config is for --mode=train. Remove it: --mode={mode} reads the '
        'config of --workdir.'
      )


def _check_config() -> str:
  """Returns the value of --config, a file with an optional variant."""
  flag = flags.FLAGS['config']
  if not flag.present:
    raise errors.UserError(
      '--config is missing. Set --config=configs/gan_mnist.py or another file.'
    )
  path = config_flags.get_config_filename(flag)
  if not pathlib.Path(path.partition(':')[0]).is_file():
    raise errors.UserError(
      f'--config={path}: there is no such file. Choose one of configs/.'
    )
  return path


def _derive_workdir(path: str) -> str:
  from jaxgan.training import workdir

  overrides = config_flags.get_override_values(flags.FLAGS['config'])
  derived = workdir.derived_workdir(path, overrides)
  print(f'workdir: {derived}')
  return derived


def _missing_field(workdir: str, error: Exception) -> str:
  """Returns the field of a recorded config whose absence raised an error."""
  from jaxgan import config
  from jaxgan.modes import restore

  return config.missing(restore.record_of(workdir)['config'], error)


def main(argv) -> None:
  if len(argv) > 1:
    raise errors.UserError(
      f'unknown argument {argv[1]!r}. Flags start with --.'
    )
  name = _MODE.value
  _check_flags(name)
  mode = modes.MODES[name]
  workdir = _WORKDIR.value or mode.workdir
  values = {flag.name: flags.FLAGS[flag.name].value for flag in mode.flags}
  values = {k: v for k, v in values.items() if v is not None}
  fields = dict(_data_fields)
  _data_fields.clear()  # A second call has flags of its own.
  if fields:
    if not mode.reads_data:
      raise errors.UserError(
        f'--config.data.{next(iter(fields))} is for modes that read data, and '
        f'--mode={name} reads none. Remove the flag.'
      )
    values['data'] = fields
  if mode.trains:
    path = _check_config()
    workdir = workdir or _derive_workdir(path)
    values['config'] = _CONFIG.value
  module, function = mode.function.split(':')
  function = getattr(importlib.import_module(module), function)
  try:
    result = function(workdir, **values)
  except (AttributeError, KeyError) as error:
    is_known = workdir and not mode.trains
    field = _missing_field(workdir, error) if is_known else None
    if not field:
      raise
    raise errors.UserError(
      f'config.json of workdir {workdir!r} has no field {field!r}. Restore the '
      'file from a backup, or use the code that wrote it.'
    ) from None
  if mode.prints:
    result = json.dumps(result) if isinstance(result, dict) else result
    print(buckets.named(result))


class _Formatter(logging.Formatter):
  def format(self, record) -> str:
    return buckets.named(super().format(record))


def _run(argv) -> None:
  # Orbax and JAX log through absl, and the threads of orbax print tracebacks of
  # errors that are raised here as well.
  absl_logging.set_verbosity(absl_logging.FATAL)
  sys.unraisablehook = lambda unraisable: None
  for stream in (sys.stdout, sys.stderr):
    if hasattr(stream, 'reconfigure'):  # Names need not be UTF-8.
      stream.reconfigure(errors='backslashreplace')
  handler = logging.StreamHandler()
  handler.setFormatter(_Formatter('%(message)s'))
  logger = logging.getLogger('jaxgan')
  logger.addHandler(handler)
  logger.setLevel(logging.INFO)
  logger.propagate = False
  try:
    main(argv)
  except errors.UserError as error:
    _fail(error)
  except OSError as error:
    _fail(
      errors.StorageError(
        f'{error}. Fix this, then rerun the command to resume.'
      )
    )
  except errors.Stopped as stop:
    print(stop)
    # A running compilation would crash at exit.
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
