"""How a timed system talks to `benchmarks/speed.py`; plain Python."""

import json
import resource
import sys
import time
import traceback
from collections.abc import Callable


def host_memory() -> int:
  """The largest so far, in bytes."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(about: dict, run: Callable[[int], None], memory=host_memory) -> None:
  """Answers until standard input ends.

  Prints `about` as a line of JSON; then answers every number on a line by the
  seconds that so many rounds took and the largest memory so far, in bytes.

  Args:
    about: 'version', 'parameters' by network, and whatever else is known.
    run: runs so many rounds, and returns when they are done.
    memory: where it is not the host's that counts.
  """
  print(json.dumps(about), flush=True)
  for line in sys.stdin:
    began = time.perf_counter()
    run(int(line))
    seconds = time.perf_counter() - began
    print(seconds, memory(), flush=True)


def start(main: Callable) -> None:
  """Calls it with the arguments of the command line.

  Some modes do not run on every machine: the last line of standard error says
  why.
  """
  try:
    main(*sys.argv[1:])
  except Exception as error:
    traceback.print_exc()
    said = (str(error).strip().splitlines() or [''])[0]
    sys.exit(f'{type(error).__name__}: {said}')
