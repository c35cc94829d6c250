"""Several processes of one run, and the memory of this process."""

import contextlib
import ctypes
import os

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxgan import errors
from jaxgan.training import watchdog

CONNECT_SECONDS = 300


def connect() -> None:
  """Joins the other processes of the run; call it before using a device.

  The scripts in `launch/` set the environment variables. Either
  JAX_COORDINATOR_ADDRESS (host and port of the first process) is set with
  JAX_NUM_PROCESSES and JAX_PROCESS_ID. Or JAXGAN_DISTRIBUTED is 1, and JAX
  finds these values, as under SLURM, on TPU pods and in Kubernetes. Otherwise
  the run has one process. Processes that have not met after
  JAXGAN_CONNECT_SECONDS (300) end with a message.

  Raises:
    UserError: if a variable is missing or is no number.
  """
  if os.environ.get('JAXGAN_DISTRIBUTED') == '1':
    try:
      with _met_in_time() as seconds:
        jax.distributed.initialize(initialization_timeout=seconds)
    except ValueError as error:
      raise errors.UserError(
        f'JAXGAN_DISTRIBUTED=1: JAX finds no cluster here ({error}). Set '
        'JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID.'
      ) from None
  elif os.environ.get('JAX_COORDINATOR_ADDRESS'):
    with _met_in_time() as seconds:
      jax.distributed.initialize(
        num_processes=_number('JAX_NUM_PROCESSES'),
        process_id=_number('JAX_PROCESS_ID'),
        cluster_detection_method='deactivate',
        initialization_timeout=seconds,
      )


@contextlib.contextmanager
def _met_in_time():
  """Ends the process if the block takes too long; yields a time-out for JAX."""
  seconds = watchdog.seconds('JAXGAN_CONNECT_SECONDS', CONNECT_SECONDS)
  address = os.environ.get('JAX_COORDINATOR_ADDRESS') or 'their address'
  message = (
    f'the processes did not meet at {address} in {seconds} s. Check that all '
    'are started, that process 0 is at this address and that its port is open, '
    'or set JAXGAN_CONNECT_SECONDS to more.'
  )
  with watchdog.Deadline(seconds, message, stacks=False):
    # JAX would abort without this message, so its time-out is later.
    yield (seconds or 365 * 86_400) + 60


def _number(variable: str) -> int:
  value = os.environ.get(variable, '')
  if not value.isdecimal():
    raise errors.UserError(
      f'{variable}={value!r} must be a number. Set it, or unset '
      'JAX_COORDINATOR_ADDRESS.'
    )
  return int(value)


def num_processes() -> int:
  """Returns the number of processes of the run."""
  return jax.process_count()


def process() -> int:
  """Returns the number of this process."""
  return jax.process_index()


def is_first() -> bool:
  """Returns True in the process that writes files."""
  return process() == 0


@contextlib.contextmanager
def first_before_others():
  """Lets the first process finish the block before the others start it."""
  if not is_first():
    multihost_utils.sync_global_devices('the first process is done')
  yield
  if is_first():
    multihost_utils.sync_global_devices('the first process is done')


def same_everywhere(number: int) -> bool:
  """Returns True if all processes pass the same number, below 2**32."""
  numbers = multihost_utils.process_allgather(np.uint32(number))
  return bool((numbers == numbers.flat[0]).all())


def gather(x: jax.Array) -> np.ndarray:
  """Returns an array that all processes split, on the host."""
  return multihost_utils.process_allgather(x, tiled=True)


# Options of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Free bytes that a heap keeps.
SPARE = 32 * 2**20
# Larger blocks come from the system, smaller blocks from a heap. Temporary
# memory of a call is larger; in a heap it would be fragmented by small blocks.
BLOCK = 20 * 2**20


def tune_memory() -> None:
  """Configures the memory allocator after compiling, if it is that of GNU.

  The memory that compiling has freed returns to the system. The memory that
  rounds free stays in the process, so that its pages are not cleared in every
  round.
  """
  with contextlib.suppress(AttributeError, OSError, TypeError):
    library = ctypes.CDLL(None)
    library.malloc_trim(0)
    library.mallopt(M_TRIM_THRESHOLD, SPARE)
    library.mallopt(M_MMAP_THRESHOLD, BLOCK)
