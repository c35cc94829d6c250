"""A strict session: no silent broadcasting, one device, no shared caches."""

import gc
import os
import pathlib

import compilation

# Before JAX: more threads than cores, or collectives of 8 devices deadlock.
os.environ.setdefault('NPROC', '16')
os.environ['XLA_FLAGS'] = ' '.join(
  [
    os.environ.get('XLA_FLAGS', ''),
    '--xla_force_host_platform_device_count=8',
    compilation.XLA_FLAGS,
  ]
)
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('TFDS_DATA_DIR', '/nonexistent')

import device_limit
import jax
import pytest

jax.config.update('jax_numpy_rank_promotion', 'raise')
# Programs of tests need no line numbers.
jax.config.update('jax_traceback_in_locations_limit', 0)
device_limit.install()
# The many objects of traced programs are not searched for garbage so often.
gc.set_threshold(200_000, 50, 100)


def pytest_configure(config):
  del config
  from jaxgan.training import caches
  from jaxgan.training import devices as devices_lib

  # Programs that were compiled by an earlier session are not compiled again.
  devices_lib.use_compilation_cache()
  # Tests share traces and programs.
  caches.RUNS = 10**9


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
  is_marked = item.get_closest_marker('eight_devices') is not None
  device_limit.set_limit(8 if is_marked else 1)
  # Hundreds of rounds are worth the time of optimizations.
  is_long = item.get_closest_marker('trains_long') is not None
  jax.config.update('jax_disable_most_optimizations', not is_long)


# Linux gives a process 65,530 regions of memory, and ends one that needs more
# with a segmentation fault. Compiled programs have thousands.
MOST_REGIONS = 30_000
REGIONS = pathlib.Path('/proc/self/maps')


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
  if nextitem is not None and nextitem.path == item.path:
    return  # Counting takes milliseconds.
  if REGIONS.exists() and REGIONS.read_bytes().count(b'\n') > MOST_REGIONS:
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def key():
  return jax.random.key(0)


@pytest.fixture(scope='session')
def unbroken(tmp_path_factory):
  """Workdir of a finished run of `runs.small`; not to be changed."""
  import runs

  from jaxgan.training import loop

  workdir = tmp_path_factory.mktemp('unbroken') / 'run'
  with device_limit.limited(1):
    loop.train(runs.small(), workdir)
  return workdir


@pytest.fixture(scope='session')
def unkilled(tmp_path_factory):
  """Workdir of a finished run of `runs.words`; not to be changed."""
  import runs

  workdir = tmp_path_factory.mktemp('unkilled') / 'run'
  with device_limit.limited(1):
    process = runs.call_main(*runs.words(workdir))
  assert process.returncode == 0, process
  assert 'checkpoint verified' in process.stdout
  return workdir
