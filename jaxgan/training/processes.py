"""Several processes of one run, and the memory of this one."""

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
  """Joins the other processes of the run; before anything asks for a device.

  The scripts in `launch/` set what it reads. JAX_COORDINATOR_ADDRESS, the host
  and port of the first process, comes with JAX_NUM_PROCESSES and
  JAX_PROCESS_ID; or JAXGAN_DISTRIBUTED is 1 and JAX finds all three by itself,
  as it does under SLURM, on TPU pods and in Kubernetes. Without either this is
  a run of one process, and nothing happens. Processes that have not met after
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
        f'JAXGAN_DISTRIBUTED=1: JAX finds no cluster here ({error}); set '
        'JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID'
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
  """Ends the process if the block takes too long; gives JAX's own time-out."""
  seconds = watchdog.seconds('JAXGAN_CONNECT_SECONDS', CONNECT_SECONDS)
  address = os.environ.get('JAX_COORDINATOR_ADDRESS') or 'their address'
  said = (
    f'the processes did not meet at {address} in {seconds} s; see that all are '
    'started, that process 0 is at this address and that its port is open, or '
    'set JAXGAN_CONNECT_SECONDS to more'
  )
  with watchdog.Deadline(seconds, said, stacks=False):
    # JAX would abort without a word of this; it comes later.
    yield (seconds or 365 * 86_400) + 60


def _number(variable: str) -> int:
  value = os.environ.get(variable, '')
  if not value.isdecimal():
    raise errors.UserError(
      f'{variable}={value!r} must be a number where JAX_COORDINATOR_ADDRESS '
      'is set'
    )
  return int(value)


def num_processes() -> int:
  """Of this run."""
  return jax.process_count()


def process() -> int:
  """The number of this one."""
  return jax.process_index()


def is_first() -> bool:
  """Whether this process is the one that writes."""
  return process() == 0


@contextlib.contextmanager
def first_before_others():
  """The first process goes through the block alone, then all others."""
  if not is_first():
    multihost_utils.sync_global_devices('the first process is done')
  yield
  if is_first():
    multihost_utils.sync_global_devices('the first process is done')


def same_everywhere(number: int) -> bool:
  """Whether all processes call it with the same number, below 2**32."""
  found = multihost_utils.process_allgather(np.uint32(number))
  return bool((found == found.flat[0]).all())


# Of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


# Bytes. A heap that has no more to spare keeps it.
SPARE = 32 * 2**20


# Bytes. Smaller blocks are from heaps, and larger ones each from the system.
BLOCK = 20 * 2**20


def settle() -> None:
  """After compiling, and where the library is that of GNU.

  Up to 100 MB that compiling left go back to the system. What rounds take and
  free again stays: up to 17 MB for a convolution of the tutorials, in each of
  XLA's threads. The U-Net of the CCGAN tutorial had 10,000 pages cleared anew
  in every round, and is 7 % faster without, on two CPU cores. The temporary
  memory of a call, often larger, is no heap's: freed blocks of 22 MB had small
  ones put in them, so that the autoencoder's peak rose by 60 MB.
  """
  with contextlib.suppress(AttributeError, OSError, TypeError):
    library = ctypes.CDLL(None)
    library.malloc_trim(0)
    library.mallopt(M_TRIM_THRESHOLD, SPARE)
    library.mallopt(M_MMAP_THRESHOLD, BLOCK)
