"""The C library's memory, readied for training."""

import contextlib
import ctypes

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
