"""Starts or resumes one run for each setting of a sweep.

  python launch/sweep.py --config=configs/gan_mnist.py --dry-run
  python launch/sweep.py --config=configs/gan_mnist.py --to=slurm \
      -- --gpus-per-node=1 --time=1:00:00

A sweep is a Python file with a function `runs()` that yields a dictionary
{field of the config: value} for each run. Flags after `--` go to
launch/slurm.sh or launch/tpu_vm.sh. Finished runs are skipped. The exit code is
1 if a run failed; the other runs still start.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import pathlib
import re
import runpy
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


class _Parser(argparse.ArgumentParser):
  def error(self, message):
    _fail(f'{message}; --help lists the flags')


def _fail(message: str):
  print(f'error: {message}', file=sys.stderr)
  sys.exit(2)


def _parse(argv):
  parser = _Parser(
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = parser.add_argument
  add('--config', required=True, help='config file, or FILE:VARIANT')
  add('--sweep', help='file with runs() (configs/sweeps/NAME.py)')
  add('--to', choices=['local', 'slurm', 'tpu'], default='local')
  add('--root', default='runs', help='folder of all workdirs (runs)')
  add('--parallel', type=int, default=1, help='runs at the same time (1)')
  add('--dry-run', action='store_true', help='print the commands')
  end = argv.index('--') if '--' in argv else len(argv)
  flags = parser.parse_args(argv[:end])
  others = argv[end + 1 :]
  if flags.to == 'local' and others:
    _fail(f'{others[0]!r} after -- is for --to=slurm and --to=tpu')
  if flags.parallel < 1:
    _fail(f'--parallel={flags.parallel} must be positive')
  return flags, others


def _load(path: str, name: str):
  """Returns the function `name` of a Python file."""
  if not pathlib.Path(path).is_file():
    _fail(f'there is no file {path}')
  functions = runpy.run_path(path)
  if name not in functions:
    _fail(f'{path} has no function {name}()')
  return functions[name]


def read(path: str, sweep: str | None):
  """Returns the settings of all runs, checked against the config.

  Args:
    path: config file, or FILE:VARIANT.
    sweep: file of the sweep; None selects the file named after the config.

  Returns:
    Pairs of {field: value} and the number of rounds.
  """
  from jaxgan import config as config_lib

  file, _, variant = path.partition(':')
  stem = pathlib.Path(file).stem
  fields = config_lib.flatten(_load(file, 'get_config')(variant))
  sweep = sweep or str(pathlib.Path(file).parent / 'sweeps' / f'{stem}.py')
  runs = []
  for setting in _load(sweep, 'runs')():
    for name in setting.keys() - fields.keys():
      _fail(f'{sweep} sets {name!r} and {file} has no such field')
    runs.append((setting, setting.get('num_steps', fields['num_steps'])))
  return runs


def is_finished(workdir: pathlib.Path, num_steps: int) -> bool:
  names = [path.name for path in workdir.glob('checkpoints/*')]
  return max((int(n) for n in names if n.isdecimal()), default=-1) >= num_steps


def command(to: str, config: str, workdir: pathlib.Path, setting, others):
  """Returns the command that starts a run, as a list of words."""
  training = [f'--config={config}', f'--workdir={workdir}']
  training += [f'--config.{name}={value}' for name, value in setting.items()]
  if to == 'local':
    return ['./launch/local.sh', *training]
  if to == 'slurm':
    return ['./launch/slurm.sh', *others, *training]
  stem = re.sub(r'[^a-z0-9]+', '-', pathlib.Path(config).stem.lower())
  digest = hashlib.blake2b(str(workdir).encode(), digest_size=4).hexdigest()
  name = f'--name={stem[:40]}-{digest}'
  return ['./launch/tpu_vm.sh', 'run', name, *others, *training]


def main(argv) -> int:
  flags, others = _parse(argv)
  from jaxgan.training import workdir as workdir_lib

  commands = []
  workdirs = collections.Counter()
  for setting, num_steps in read(flags.config, flags.sweep):
    name = workdir_lib.derived_workdir(flags.config, setting).name
    workdir = pathlib.Path(flags.root) / name
    workdirs[workdir] += 1
    if workdirs[workdir] > 1:
      _fail(
        f'two runs have the same workdir {workdir}: their settings differ only '
        'in fields that do not change a run. Remove one of the runs.'
      )
    if is_finished(workdir, num_steps):
      print(f'# finished: {workdir}')
      continue
    commands.append(command(flags.to, flags.config, workdir, setting, others))
  if flags.dry_run:
    for words in commands:
      print(shlex.join(words))
    return 0

  def run(words):
    print(shlex.join(words), flush=True)
    return subprocess.run(words, cwd=ROOT, check=False).returncode

  with concurrent.futures.ThreadPoolExecutor(flags.parallel) as pool:
    codes = list(pool.map(run, commands))
  for words, code in zip(commands, codes, strict=True):
    if code:
      print(f'exit code {code}: {shlex.join(words)}', file=sys.stderr)
  return int(any(codes))


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
