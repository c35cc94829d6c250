"""What a dry run says, and that it leaves nothing; traces of a run."""

import functools
import gzip
import pathlib

import jax
import jax.numpy as jnp
import pytest
from runs import small

from jaxgan import errors
from jaxgan.training import dry_run, loop, operations, profiling
from jaxgan.training import run as run_lib

pytestmark = pytest.mark.eight_devices


@pytest.fixture
def quick(monkeypatch):
  monkeypatch.setattr(dry_run, 'SECONDS', 0.0)
  monkeypatch.setattr(dry_run, 'TRIALS', 1)


@pytest.mark.parametrize('resident_bytes', [2**20, 0])
def test_dry_run_prints_costs_and_writes_nothing(
  tmp_path, capsys, quick, resident_bytes
):
  config = small(**{'dry_run': True, 'data.resident_bytes': resident_bytes})
  loop.train(config, tmp_path / 'run')
  assert not list(tmp_path.iterdir())
  table = capsys.readouterr().out.split('one round, each device')[1]
  rows = [line.split('  ', 1) for line in table.splitlines()[2:]]
  found = {name: value.strip() for name, value in rows}
  assert found['devices'] == '8 x cpu'
  assert found['host transfers'] == 'none'
  for name in ('operations', 'bytes moved', 'memory', 'a round, bound'):
    assert float(found[name].split()[0]) > 0


@functools.cache
def built(engine, updates):
  """Without batch norm, which needs sums of its own on the way."""
  fields = {'generator.norm': 'none', 'discriminator_steps': updates}
  run = run_lib.Training(
    small(engine=engine, **fields), pathlib.Path('nowhere')
  )
  run.build()
  return run


@functools.cache
def compiled(engine, updates):
  return operations.lower(built(engine, updates)).compile()


@pytest.mark.parametrize(
  ('engine', 'updates'), [('pmap', 1), ('pmap', 2), ('jit', 1)]
)
def test_one_all_reduce_a_network_update(engine, updates):
  moves = operations.traffic(compiled(engine, updates).as_text())
  assert [kind for kind, _ in moves] == ['all-reduce'] * (updates + 1)
  # Gradients of 16 units on 8 x 8 pixels and 8 latents, and the metrics.
  generator = 4 * (8 * 16 + 16 + 16 * 64 + 64)
  discriminator = 4 * (64 * 16 + 16 + 16 + 1)
  for (_, size), least in zip(
    moves, [discriminator] * updates + [generator], strict=True
  ):
    # `jit` adds gradients on reals, on fakes and of R1 afterwards.
    assert least <= size < least * (3 if engine == 'jit' else 1) + 100


def test_engines_split_the_work_equally():
  jit, pmap = (compiled(name, 1).cost_analysis() for name in ('jit', 'pmap'))
  assert jit['flops'] == pytest.approx(pmap['flops'], rel=0.1)


@pytest.mark.parametrize(
  ('engine', 'updates'), [('pmap', 1), ('pmap', 2), ('jit', 1)]
)
def test_count_is_near_the_count_of_the_compiler(engine, updates):
  found = operations.count(built(engine, updates))
  # Each device updates all parameters, and has a part of the rest.
  assert found == pytest.approx(
    compiled(engine, updates).cost_analysis()['flops'], rel=0.1
  )


def test_count_of_other_platforms():
  run = built('jit', 1)
  found = {k: operations.count(run, k) for k in ('cpu', 'cuda', 'tpu')}
  assert found == pytest.approx(dict.fromkeys(found, found['cpu']), rel=0.01)


def test_count_raises_without_a_cpu(monkeypatch):
  def none(backend):
    raise RuntimeError(f'Unknown backend {backend}')

  run = built('jit', 1)
  monkeypatch.setattr(jax, 'local_devices', none)
  with pytest.raises(errors.UserError, match=r"JAX_PLATFORMS='.*',cpu'"):
    operations.count(run)


def test_library_calls_returns_bytes():
  text = """
  %x.1 = f32[64,512]{1,0} parameter(0)
  %w = bf16[512,784]{1,0} convert(%p)
  %gemm.2 = (f32[64,784]{1,0}, s8[33554432]{0}) custom-call(%x.1, %w), \
custom_call_target="__cublas$gemm"
  ROOT %conv = f32[10]{0} custom-call(%x.1), \
custom_call_target="__cudnn$convForward"
  %topk = (f32[8]{0}) custom-call(%x.1), custom_call_target="TopK"
  """
  x, w = 4 * 64 * 512, 2 * 512 * 784
  found = operations.library_calls(text)
  assert found == [4 * 64 * 784 + x + w, 40 + x]


def test_costs_correct_the_count_of_library_calls(monkeypatch):
  run = built('jit', 1)
  plain = dry_run.costs(run)
  monkeypatch.setattr(operations, 'library_calls', lambda text: [1_000, 24])
  found = dry_run.costs(run)
  assert found.flops == operations.count(run)
  assert found.num_bytes == plain.num_bytes + 1_024


def test_traffic_lists_collectives_and_transfers():
  text = """
  %a = f32[2,3]{1,0} all-reduce(%x), channel_id=1
  %b = (bf16[4]{0}, f32[], /*index=2*/pred[8]{0}) all-gather-start(%x, %y)
  %c = (bf16[4]{0}, f32[]) all-gather-done(%b)
  %d = f32[2]{0} add(%x, %y), metadata={op_name="all-reduce("}
  %e = () custom-call(%x), custom_call_target="xla_ffi_python_cpu_callback"
  %f = (f32[5]{0}, token[]) infeed(%t)
  """
  assert operations.traffic(text) == [
    ('all-reduce', 24),
    ('all-gather', 20),
    ('callback', 0),
    ('infeed', 21),
  ]


def test_trace_is_written(tmp_path):
  double = jax.jit(lambda x: 2.0 * x)
  trace, x = profiling.Trace((2, 4), tmp_path), jnp.ones(3)
  for step in range(2):
    with trace.call(step, 1, x):
      x = double(x)
  assert not list(tmp_path.iterdir())
  for step in range(2, 6):
    with trace.call(step, 1, x):
      x = double(x)
  assert len(list(tmp_path.rglob('*.xplane.pb'))) == 1
  (perfetto,) = tmp_path.rglob('perfetto_trace.json.gz')
  names = gzip.decompress(perfetto.read_bytes()).decode()
  assert names.count('"round"') == 2
  trace.close()


@pytest.mark.parametrize(
  ('window', 'calls'),
  [
    ((3, 4), [2]),
    ((2, 4), [2]),
    ((1, 3), [0, 2]),
    ((5, 50), [4, 6]),
    ((8, 9), []),
    ((), []),
  ],
)
def test_trace_records_whole_calls(
  window, calls, monkeypatch, tmp_path, caplog
):
  """Eight rounds, two a call; a window that none is in is no silent one."""
  monkeypatch.setattr(jax.profiler, 'start_trace', lambda *_, **__: None)
  monkeypatch.setattr(jax.profiler, 'stop_trace', lambda: None)
  trace, found = profiling.Trace(window, tmp_path), []
  for step in range(0, 8, 2):
    with trace.call(step, 2, jnp.ones(3)) as annotation:
      if isinstance(annotation, jax.profiler.StepTraceAnnotation):
        found.append(step)
  trace.close()
  assert found == calls
  assert ('profile_steps=8,9: no trace' in caplog.text) == (window == (8, 9))


@pytest.mark.slow
def test_train_traces_profile_steps(tmp_path, monkeypatch):
  calls = []
  monkeypatch.setattr(
    jax.profiler, 'start_trace', lambda path, **_: calls.append(path)
  )
  monkeypatch.setattr(jax.profiler, 'stop_trace', lambda: calls.append('stop'))
  fields = {'profile_steps': (1, 9), 'sample_every': 0, 'num_steps': 2}
  loop.train(small(steps_per_call=1, **fields), tmp_path)
  assert calls == [tmp_path / 'profile', 'stop']


def test_train_refuses_wrong_profile_steps(tmp_path):
  for window in ((5, 5), (1,), (-1, 3), (0.5, 3), (True, 3)):
    with pytest.raises(errors.UserError, match='profile_steps'):
      loop.train(small(profile_steps=window), tmp_path)


def test_batch_of_one_with_batch_norm_is_refused(tmp_path):
  config = small(batch_size=1)
  config.generator.norm = 'batch'
  with pytest.raises(errors.UserError, match='batch_size=1'):
    loop.train(config, tmp_path / 'run')


def test_memory_that_is_missing_is_named_before_compiling(tmp_path):
  config = small(batch_size=2**27)
  with pytest.raises(errors.UserError, match=r'needs at least'):
    loop.train(config, tmp_path / 'run')
