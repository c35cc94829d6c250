"""Launchers: what they would run, checked with tools that only take notes."""

import contextlib
import importlib.util
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import compilation
import numpy as np
import pytest
import yaml

from jaxgan import config as config_lib
from jaxgan import errors
from jaxgan.data import stream
from jaxgan.data.sources import toy
from jaxgan.training import processes

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = '--config=configs/gan_mnist.py'
TPU = ['--name=gan', '--zone=us-central1-a', '--type=v5litepod-16']
TPU += ['--version=v2-alpha-tpuv5-lite', '--poll=0']
WORKDIR = '--workdir=/mnt/runs/a'

# Flags of the tools' reference pages: "gcloud compute tpus queued-resources
# create" and so on (SDK 527), and "sbatch" and "srun" (Slurm 24.05).
DOCUMENTED = {
  'gcloud compute tpus queued-resources create': (
    {'--accelerator-type', '--node-id', '--runtime-version', '--zone'},
    {'--project', '--spot'},
  ),
  'gcloud compute tpus queued-resources describe': (
    {'--zone'},
    {'--format', '--project'},
  ),
  'gcloud compute tpus queued-resources delete': (
    {'--zone'},
    {'--force', '--project', '--quiet'},
  ),
  'gcloud compute tpus tpu-vm ssh': (
    {'--command', '--worker', '--zone'},
    {'--project'},
  ),
  'gcloud compute tpus tpu-vm scp': ({'--worker', '--zone'}, {'--project'}),
  'sbatch': (
    {'--job-name', '--requeue', '--signal', '--wrap'},
    {
      '--dependency',
      '--export',
      '--gpus-per-node',
      '--nodes',
      '--ntasks-per-node',
      '--open-mode',
      '--output',
      '--time',
    },
  ),
  'srun': (set(), {'--kill-on-bad-exit'}),
  'scontrol': (set(), set()),
}

# Notes its arguments. Asked for a state or an exit code, it gives the next line
# of a file; the last one again and again.
STUB = r"""#!/bin/bash
{ printf '%s\x1f' "${0##*/}" "$@"; printf '\x1e'; } >>"$NOTES/calls"
next() {
  head --lines=1 "$NOTES/$1"
  sed --in-place '1{$!d}' "$NOTES/$1"
}
case "$*" in
  *' describe '*)
    state=$(next states)
    if [ "$state" = NONE ]; then
      echo 'ERROR: NOT_FOUND: no such' >&2
      exit 1
    fi
    echo "$state"
    ;;
  *'cat jaxgan/train.code'*) next codes ;;
esac
exit "${STUB_CODE:-0}"
"""


class Tools:
  """Stubs at the head of PATH, and what they were called with."""

  def __init__(self, folder):
    self.folder = folder
    (folder / 'bin').mkdir()
    for name in ('gcloud', 'sbatch', 'srun', 'scontrol', 'kubectl'):
      path = folder / 'bin' / name
      path.write_text(STUB)
      path.chmod(0o755)
    self.answer(states=['ACTIVE'], codes=['0'])

  def answer(self, **lines):
    for name, values in lines.items():
      text = ''.join(f'{value}\n' for value in values)
      (self.folder / name).write_text(text)

  def run(self, script, *arguments, **environment):
    return subprocess.run(
      [str(ROOT / 'launch' / script), *arguments],
      cwd=self.folder,
      env=os.environ
      | {
        'PATH': f'{self.folder}/bin:{os.environ["PATH"]}',
        'NOTES': str(self.folder),
        'TMPDIR': str(self.folder),
        'JAXGAN_PYTHON': sys.executable,
      }
      | environment,
      capture_output=True,
      text=True,
      timeout=60,
    )

  def calls(self):
    path = self.folder / 'calls'
    text = path.read_text() if path.exists() else ''
    return [call.split('\x1f')[:-1] for call in text.split('\x1e')[:-1]]

  def verbs(self):
    """Without describe: create, scp, delete, and of ssh the last word."""
    words = [(call[4], call[-1].split()[-1]) for call in self.calls()]
    return [
      last if verb == 'ssh' else verb
      for verb, last in words
      if verb != 'describe'
    ]


@pytest.fixture
def tools(tmp_path):
  return Tools(tmp_path)


def assert_documented(words):
  name = next(
    name for name in DOCUMENTED if words[: len(name.split())] == name.split()
  )
  needed, known = DOCUMENTED[name]
  rest = words[len(name.split()) :]
  if name == 'srun':  # Its own flags end where the command begins.
    rest = rest[: rest.index('env')]
  flags = {word.split('=')[0] for word in rest if word.startswith('-')}
  assert needed <= flags <= needed | known, words


SCRIPTS = {
  'local.sh': [CONFIG],
  'test.sh': ['tests/adversarial/losses_test.py'],
  'multiprocess.sh': ['-n', '3', '--port=4567', CONFIG],
  'slurm.sh': [CONFIG, '--workdir=runs/a'],
  'tpu_vm.sh': ['run', *TPU, CONFIG, WORKDIR],
}


@pytest.mark.parametrize('script', SCRIPTS)
def test_help(script, tools):
  found = tools.run(script, '--help')
  assert found.returncode == 0, found.stderr
  assert f'./launch/{script}' in found.stdout
  for flag in ['--dry-run', *SCRIPTS[script][:-2]]:
    if flag.startswith('-') and 'config' not in flag:
      assert flag.split('=')[0] in found.stdout


@pytest.mark.parametrize('script', SCRIPTS)
def test_a_dry_run_prints_and_does_nothing(script, tools):
  found = tools.run(script, *SCRIPTS[script], '--dry-run')
  assert found.returncode == 0, found.stderr
  assert found.stdout
  assert found.stderr == ''
  assert tools.calls() == []
  # Every line is one that a shell reads.
  subprocess.run(['bash', '-n', '-c', found.stdout], check=True)


def test_a_dry_run_of_setup_installs_nothing(tools):
  fresh = tools.folder / 'repository'
  (fresh / 'launch').mkdir(parents=True)
  for name in ('requirements.txt', 'pyproject.toml'):
    (fresh / name).write_text('')
  for path in (ROOT / 'launch').glob('*.sh'):
    (fresh / 'launch' / path.name).write_text(path.read_text())
  found = subprocess.run(
    ['bash', 'launch/local.sh', '--dry-run', CONFIG],
    cwd=fresh,
    env=os.environ | {'PYTHON': sys.executable, 'EXTRAS': 'cuda'},
    capture_output=True,
    text=True,
  )
  lines = found.stdout.splitlines()
  assert lines[0] == f'{sys.executable} -m venv .venv'
  assert lines[1].endswith(r'--editable .\[cuda\]')
  assert lines[2] == f'.venv/bin/python -m jaxgan.main {CONFIG}'
  assert not (fresh / '.venv').exists()


WRONG = {
  'multiprocess.sh': [
    (['--bogus', CONFIG], "unknown flag '--bogus'"),
    (['-n', 'x', CONFIG], '-n x must be a positive number'),
    (['-n'], '-n needs a number'),
    ([], '--config is missing'),
  ],
  'slurm.sh': [
    (['--bogus=1', CONFIG], "unknown flag '--bogus=1'"),
    (['--nodes=0', CONFIG], '--nodes=0 must be'),
    ([CONFIG], '--workdir is missing'),
  ],
  'tpu_vm.sh': [
    (['run', *TPU, '--bogus'], "unknown flag '--bogus'"),
    (['stop', *TPU], "unknown command 'stop'"),
    (TPU, 'the command is missing'),
    (['create', '--zone=z'], '--name is missing'),
    (['create', '--name=n', '--zone=z'], '--type is missing'),
    (['run', *TPU, WORKDIR], '--config is missing'),
    (['run', *TPU, CONFIG, '--workdir=gs://b/a'], 'absolute path'),
    (['run', *TPU, CONFIG], 'absolute path'),
  ],
}


@pytest.mark.parametrize(
  ('script', 'arguments', 'message'),
  [(script, *case) for script, cases in WRONG.items() for case in cases],
)
def test_wrong_flags_are_one_line(script, arguments, message, tools):
  found = tools.run(script, *arguments)
  assert found.returncode == 2
  (line,) = found.stderr.splitlines()
  assert line.startswith('error: ')
  assert message in line
  assert tools.calls() == []


def test_processes_are_numbered(tools):
  found = tools.run('multiprocess.sh', *SCRIPTS['multiprocess.sh'], '--dry-run')
  lines = found.stdout.splitlines()
  assert len(lines) == 3
  for number, line in enumerate(lines):
    assert shlex.split(line) == [
      'env',
      'JAX_COORDINATOR_ADDRESS=127.0.0.1:4567',
      'JAX_NUM_PROCESSES=3',
      f'JAX_PROCESS_ID={number}',
      f'JAX_LOCAL_DEVICE_IDS={number}',
      sys.executable,
      '-m',
      'jaxgan.main',
      CONFIG,
    ]


def test_the_exit_code_is_that_of_the_first_that_failed(tools):
  python = tools.folder / 'python'
  python.write_text(
    '#!/bin/bash\nif [ "$JAX_PROCESS_ID" = 1 ]; then exit 3; fi\n'
    'sleep 0.5; exit 134\n'
  )
  python.chmod(0o755)
  arguments = SCRIPTS['multiprocess.sh']
  found = tools.run('multiprocess.sh', *arguments, JAXGAN_PYTHON=str(python))
  assert found.returncode == 3


def test_slurm_is_given_a_job(tools):
  flags = ['--nodes=2', '--gpus-per-node=4', '--time=1:00:00']
  field = '--config.data.path=a b'
  found = tools.run('slurm.sh', *flags, CONFIG, '--workdir=runs/a', field)
  assert found.returncode == 0, found.stderr
  (call,) = tools.calls()
  assert_documented(call)
  assert call == [
    'sbatch',
    '--job-name=jaxgan-a',
    '--nodes=2',
    '--ntasks-per-node=4',
    '--time=1:00:00',
    '--gpus-per-node=4',
    '--requeue',
    '--open-mode=append',
    '--signal=TERM@120',
    '--dependency=singleton',
    '--output=jaxgan-a-%j.log',
    '--export=ALL,EXTRAS=cuda',
    '--wrap=./launch/slurm.sh --in-job '
    rf'{CONFIG} --workdir=runs/a --config.data.path=a\ b',
  ]


@pytest.mark.parametrize('code', [0, 2, 143])
def test_a_job_that_was_told_to_stop_goes_back_into_the_queue(code, tools):
  found = tools.run(
    'slurm.sh',
    '--in-job',
    CONFIG,
    '--workdir=runs/a',
    SLURM_JOB_ID='17',
    STUB_CODE=str(code),
  )
  assert found.returncode == code
  calls = tools.calls()
  for call in calls:
    assert_documented(call)
  assert calls[0] == [
    'srun',
    '--kill-on-bad-exit=1',
    'env',
    'JAXGAN_DISTRIBUTED=1',
    sys.executable,
    '-m',
    'jaxgan.main',
    CONFIG,
    '--workdir=runs/a',
  ]
  requeue = [['scontrol', 'requeue', '17']] if code == 143 else []
  assert calls[1:] == requeue


def test_tpu_commands(tools):
  tools.answer(states=['NONE', 'PROVISIONING', 'ACTIVE'])
  arguments = [*TPU, '--spot', '--project=p']
  assert tools.run('tpu_vm.sh', 'create', *arguments).returncode == 0
  assert tools.run('tpu_vm.sh', 'copy', *arguments).returncode == 0
  assert tools.run('tpu_vm.sh', 'delete', *arguments).returncode == 0
  calls = tools.calls()
  for call in calls:
    assert_documented(call)
  queued = ['gcloud', 'compute', 'tpus', 'queued-resources']
  node = ['gcloud', 'compute', 'tpus', 'tpu-vm']
  place = ['--project=p', '--zone=us-central1-a']
  describe = [*queued, 'describe', 'gan', *place, '--format=value(state.state)']
  archive = f'{tools.folder}/jaxgan-gan.tar.gz'
  assert calls == [
    describe,
    [
      *queued,
      'create',
      'gan',
      *place,
      '--node-id=gan',
      '--accelerator-type=v5litepod-16',
      '--runtime-version=v2-alpha-tpuv5-lite',
      '--spot',
    ],
    describe,
    describe,
    [*node, 'scp', archive, 'gan:jaxgan.tar.gz', *place, '--worker=all'],
    [
      *node,
      'ssh',
      'gan',
      *place,
      '--worker=all',
      '--command=mkdir -p jaxgan &&\n'
      'tar --extract --gzip --file=jaxgan.tar.gz --directory=jaxgan',
    ],
    describe,
    [*queued, 'delete', 'gan', *place, '--force', '--quiet'],
  ]


ONE_TRY = ['scp', '--directory=jaxgan', "tpu'", 'fi', 'train.log']
ONE_TRY += ['jaxgan/train.code']


def test_a_preempted_tpu_is_replaced_and_training_goes_on(tools):
  # There is none; there is one; it is lost; it is gone; there is another.
  states = 'NONE NONE CREATING ACTIVE SUSPENDING SUSPENDING SUSPENDED SUSPENDED'
  tools.answer(states=[*states.split(), 'NONE', 'ACTIVE'], codes=['', '0'])
  found = tools.run('tpu_vm.sh', 'run', *TPU, CONFIG, WORKDIR)
  assert found.returncode == 0, found.stderr
  assert tools.verbs() == [
    *['create', *ONE_TRY],
    *['delete', 'create', *ONE_TRY, 'delete'],
  ]
  starts = [call for call in tools.calls() if 'nohup' in call[-1]]
  assert len(starts) == 2
  assert starts[0] == starts[1]
  assert WORKDIR in starts[0][-1]


def test_a_lost_connection_is_no_end_of_training(tools):
  tools.answer(states=['ACTIVE'], codes=['', '143', '0'])
  found = tools.run('tpu_vm.sh', 'run', *TPU, '--keep', CONFIG, WORKDIR)
  assert found.returncode == 0, found.stderr
  assert tools.verbs() == 3 * ONE_TRY


@pytest.mark.parametrize(
  ('states', 'codes', 'code', 'deleted'),
  [
    (['ACTIVE'], ['3'], 3, 1),
    (['ACTIVE'], ['1'], 1, 0),  # crashes: not for ever
    (['FAILED'], ['0'], 1, 2),  # refused: not for ever
  ],
)
def test_training_that_fails(states, codes, code, deleted, tools):
  tools.answer(states=states, codes=codes)
  found = tools.run('tpu_vm.sh', 'run', *TPU, CONFIG, WORKDIR)
  assert found.returncode == code, found.stderr
  assert tools.verbs().count('delete') == deleted


def test_what_workers_run_is_read_by_a_shell(tools):
  """The start command, on a machine that is not a TPU."""
  field = "--config.data.path=it's a b"
  tools.run('tpu_vm.sh', 'start', *TPU, CONFIG, WORKDIR, field)
  (call,) = tools.calls()
  worker = tools.folder / 'jaxgan' / 'launch'
  worker.mkdir(parents=True)
  script = worker / 'local.sh'
  script.write_text('#!/bin/bash\nprintf "%s\\n" "$@" "$EXTRAS"; exit 3\n')
  script.chmod(0o755)
  subprocess.run(
    ['bash', '-c', call[-1].removeprefix('--command=')],
    cwd=tools.folder,
    check=True,
  )
  code = worker.parent / 'train.code'
  for _ in range(100):
    if code.exists() and code.read_text():
      break
    time.sleep(0.1)
  assert code.read_text() == '3\n'
  log = (worker.parent / 'train.log').read_text()
  assert log.splitlines() == [CONFIG, WORKDIR, field, 'tpu']


def test_the_jobset_agrees_with_itself():
  jobset = yaml.safe_load((ROOT / 'launch' / 'kubernetes.yaml').read_text())
  assert jobset['apiVersion'] == 'jobset.x-k8s.io/v1alpha2'
  assert jobset['kind'] == 'JobSet'
  spec = jobset['spec']
  (replicated,) = spec['replicatedJobs']
  assert spec['coordinator'] == {
    'replicatedJob': replicated['name'],
    'jobIndex': 0,
    'podIndex': 0,
  }
  assert spec['network']['enableDNSHostnames']
  job = replicated['template']['spec']
  assert job['completionMode'] == 'Indexed'
  pod = job['template']['spec']
  assert pod['restartPolicy'] == 'Never'
  (container,) = pod['containers']
  variables = {v['name']: v for v in container['env']}
  processes = job['parallelism'] * replicated['replicas']
  assert job['completions'] == job['parallelism']
  assert variables['JAX_NUM_PROCESSES']['value'] == str(processes)
  (port,) = container['ports']
  assert variables['JAX_COORDINATOR_ADDRESS']['value'] == (
    f'$(COORDINATOR):{port["containerPort"]}'
  )

  def annotation(name):
    field = variables[name]['valueFrom']['fieldRef']['fieldPath']
    return field.removeprefix("metadata.annotations['").removesuffix("']")

  assert annotation('COORDINATOR') == 'jobset.sigs.k8s.io/coordinator'
  completion_index = 'batch.kubernetes.io/job-completion-index'
  assert annotation('JAX_PROCESS_ID') == completion_index
  (mount,) = container['volumeMounts']
  (volume,) = pod['volumes']
  assert mount['name'] == volume['name']
  (rule,) = job['podFailurePolicy']['rules']
  assert rule['onExitCodes']['containerName'] == container['name']
  config, workdir = container['command'][-2:]
  assert (ROOT / config.removeprefix('--config=')).is_file()
  assert workdir.startswith(f'--workdir={mount["mountPath"]}/')


def load_sweep():
  spec = importlib.util.spec_from_file_location(
    'sweep', ROOT / 'launch' / 'sweep.py'
  )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture
def sweep(monkeypatch):
  monkeypatch.chdir(ROOT)
  return load_sweep()


def test_sweep_starts_what_is_not_finished(sweep, tmp_path, capsys):
  arguments = [CONFIG, f'--root={tmp_path}', '--dry-run']
  assert sweep.main(arguments) == 0
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 6
  name = 'gan_mnist-loss=hinge-penalties.r1=0.0'
  assert shlex.split(lines[4]) == [
    './launch/local.sh',
    CONFIG,
    f'--workdir={tmp_path / name}',
    '--config.loss=hinge',
    '--config.penalties.r1=0.0',
  ]
  for step, done in ((14_999, 0), (15_000, 1)):
    (tmp_path / name / 'checkpoints' / str(step)).mkdir(parents=True)
    sweep.main(arguments)
    lines = capsys.readouterr().out.splitlines()
    assert lines.count(f'# finished: {tmp_path / name}') == done
    assert len(lines) == 6


@pytest.mark.parametrize(
  ('to', 'others', 'head'),
  [
    ('slurm', ['--gpus-per-node=1'], ['./launch/slurm.sh']),
    ('tpu', ['--zone=z'], ['./launch/tpu_vm.sh', 'run']),
  ],
)
def test_sweep_to_a_cluster(to, others, head, sweep, capsys):
  assert sweep.main([CONFIG, f'--to={to}', '--dry-run', '--', *others]) == 0
  lines = [shlex.split(x) for x in capsys.readouterr().out.splitlines()]
  assert len(lines) == 6
  names = set()
  for words in lines:
    assert words[: len(head)] == head
    assert set(others) <= set(words)
    names |= {word for word in words if word.startswith('--name=')}
  assert len(names) == (6 if to == 'tpu' else 0)


def test_sweep_runs_all_and_reports_failures(sweep, tools, monkeypatch, capsys):
  monkeypatch.setenv('PATH', f'{tools.folder}/bin:{os.environ["PATH"]}')
  monkeypatch.setenv('NOTES', str(tools.folder))
  monkeypatch.setenv('JAXGAN_PYTHON', sys.executable)
  assert sweep.main([CONFIG, '--to=slurm']) == 0
  assert len(tools.calls()) == 6
  monkeypatch.setenv('STUB_CODE', '1')
  assert sweep.main([CONFIG, '--to=slurm', '--parallel=3']) == 1
  assert len(tools.calls()) == 12
  assert capsys.readouterr().err.count('exit code 1: ') == 6


@pytest.mark.parametrize(
  ('runs', 'arguments', 'message'),
  [
    ("[{'lss': 'hinge'}]", [], "sets 'lss'"),
    ("[{'num_steps': 1}, {'num_steps': 2}]", [], 'the same workdir'),
    ('[]', ['--bogus'], '--bogus'),
    ('[]', ['--', '--zone=z'], 'is for --to=slurm'),
    ('[]', ['--parallel=0'], '--parallel=0'),
    (None, [], 'there is no file'),
  ],
)
def test_sweep_refuses(runs, arguments, message, sweep, tmp_path, capsys):
  file = tmp_path / 'sweep.py'
  if runs is not None:
    file.write_text(f'def runs():\n  return {runs}\n')
  with pytest.raises(SystemExit) as stop:
    sweep.main([CONFIG, f'--sweep={file}', *arguments])
  assert stop.value.code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith('error: ')
  assert message in line


def test_one_process_connects_to_nothing(monkeypatch):
  monkeypatch.delenv('JAX_COORDINATOR_ADDRESS', raising=False)
  monkeypatch.delenv('JAXGAN_DISTRIBUTED', raising=False)
  processes.connect()
  monkeypatch.setenv('JAX_COORDINATOR_ADDRESS', '127.0.0.1:1')
  monkeypatch.setenv('JAX_NUM_PROCESSES', '2')
  monkeypatch.setenv('JAX_PROCESS_ID', 'one')
  with pytest.raises(errors.UserError, match="JAX_PROCESS_ID='one'"):
    processes.connect()


def test_a_process_reads_its_part_of_every_batch():
  settings = config_lib.defaults().data
  settings.name = 'random'
  dataset = toy.load(settings, 'train')
  arguments = (dataset, 3, 16, 2, 5, 7)
  places = np.array([4, 5, 12, 13])
  for whole, part in zip(
    stream.rounds(*arguments),
    stream.rounds(*arguments, places=places),
    strict=True,
  ):
    for name, values in whole.items():
      draws = values.reshape(2, 16, *values.shape[1:])[:, places]
      np.testing.assert_array_equal(
        part[name], draws.reshape(-1, *values.shape[1:])
      )


SMALL = [
  *['--config.generator.widths=(32,)', '--config.discriminator.widths=(32,)'],
  *['--config.penalties.r1=0.0', '--config.steps_per_call=1'],
  *['--config.log_every=5', '--config.sample_every=10'],
  *['--config.checkpoint_every=10'],
]


@contextlib.contextmanager
def train(workdir, *flags, devices, processes=1, config=CONFIG):
  """Processes of multiprocess.sh, or one of local.sh, on CPU devices each."""
  script = ['launch/local.sh']
  if processes > 1:
    script = ['launch/multiprocess.sh', '-n', str(processes)]
  process = subprocess.Popen(
    [
      *[*script, config, f'--workdir={workdir}'],
      *['--config.data.source=embedded', *flags],
    ],
    cwd=ROOT,
    env=os.environ
    | compilation.FAST
    | {
      'JAXGAN_PYTHON': sys.executable,
      'JAX_NUM_CPU_DEVICES': str(devices),
      'NPROC': '16',  # threads: a collective needs one of each device
    },
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    start_new_session=True,
  )
  try:
    yield process
  finally:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def finish(process):
  output, _ = process.communicate(timeout=600)
  return process.returncode, output


def lines_of(workdir):
  text = (workdir / 'metrics.jsonl').read_text()
  return [json.loads(line) for line in text.splitlines()]


def same_numbers(left, right):
  """Up to rounding."""
  for ours, theirs in zip(lines_of(left), lines_of(right), strict=True):
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {'steps_per_second'}:
      assert ours[name] == pytest.approx(theirs[name], rel=2e-3, abs=2e-4), name


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
  'field', ['engine=jit', 'engine=pmap', 'shard_parameters=True']
)
def test_two_processes_train_as_one_does(field, tmp_path):
  """Data on the device, then streamed, after a restart."""
  two, one = tmp_path / 'two', tmp_path / 'one'
  engine = f'--config.{field}'
  for flags in (
    [*SMALL, engine, '--config.num_steps=10'],
    [*SMALL, engine, '--config.num_steps=20', '--config.data.resident_bytes=0'],
  ):
    with train(two, *flags, devices=2, processes=2) as process:
      code, output = finish(process)
    assert code == 0, output
    assert output.count('checkpoint verified') == 1  # one of them speaks
  with train(one, *flags[:-1], devices=4) as process:
    code, output = finish(process)
  assert code == 0, output
  assert len(lines_of(two)) == 4
  same_numbers(two, one)
  for name in ('samples/step_00000020.png', 'curves.png', 'checkpoints/20'):
    assert (two / name).exists()


NETWORKS = {
  'dcgan_mnist': ['--config.discriminator.norm=batch'],
  'wgan_mnist:gp': ['--config.discriminator_steps=2'],
  'cgan_mnist': [],
  'autoencoder_mnist': [],
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize('name', NETWORKS)
def test_a_run_wanders_between_machines(name, tmp_path):
  """Each goes on with the checkpoint of the one before."""
  file, _, variant = name.partition(':')
  config = f'--config=configs/{file}.py:{variant}'
  small = [*NETWORKS[name], '--config.batch_size=16', '--config.log_every=1']
  small += ['--config.sample_every=0', '--config.eval_every=0']
  small += ['--config.steps_per_call=1', '--config.checkpoint_every=0']
  for player, (units, channels) in {
    'generator': ((16, 16, 16), (8, 4)),
    'discriminator': ((16, 16, 16), (4, 8)),
    'encoder': ((16,), None),
    'decoder': ((16,), None),
  }.items():
    if (player in ('encoder', 'decoder')) == file.startswith('autoencoder'):
      widths = channels if 'dcgan' in file or 'wgan' in file else units
      small += [f'--config.{player}.widths={widths}']
  one, many = tmp_path / 'one', tmp_path / 'many'
  machines = [(one, 6, 1, 1)]
  machines += [(many, 2, 4, 2), (many, 3, 1, 1), (many, 4, 1, 8)]
  machines += [(many, 6, 2, 4)]
  for workdir, steps, count, devices in machines:
    flags = [*small, f'--config.num_steps={steps}']
    with train(
      *[workdir, *flags], devices=devices, processes=count, config=config
    ) as process:
      code, output = finish(process)
    assert code == 0, output
  same_numbers(many, one)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_stop_at_the_same_step(tmp_path):
  flags = [*SMALL, '--config.num_steps=1000000']
  with train(tmp_path, *flags, devices=1, processes=2) as process:
    while process.poll() is None:
      if (tmp_path / 'metrics.jsonl').exists() and lines_of(tmp_path):
        break
      time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    code, output = finish(process)
  assert code == 143, output
  assert output.count('SIGTERM: saved step') == 1
  assert any((tmp_path / 'checkpoints').iterdir())
