"""Protocol between a timed system and `benchmarks/speed.py`."""

import json
import resource
import sys
import time
import traceback
from collections.abc import Callable


def host_memory() -> int:
  """Returns the peak memory of the process in bytes."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(about: dict, run: Callable[[int], None], memory=host_memory) -> None:
  """Answers until standard input ends.

  Prints `about` as a line of JSON. Every line of input is a number of rounds.
  The answer is their seconds, and the peak memory in bytes.

  Args:
    about: 'version', 'parameters' by network, and further facts.
    run: function that runs a number of rounds to their end.
    memory: function that returns the peak memory; by default the host's.
  """
  print(json.dumps(about), flush=True)
  for line in sys.stdin:
    start = time.perf_counter()
    run(int(line))
    seconds = time.perf_counter() - start
    print(seconds, memory(), flush=True)


def start(main: Callable) -> None:
  """Calls a function with the arguments of the command line.

  Some modes do not run on every machine. The last line of standard error has
  the reason.
  """
  try:
    main(*sys.argv[1:])
  except Exception as error:
    traceback.print_exc()
    message = (str(error).strip().splitlines() or [''])[0]
    sys.exit(f'{type(error).__name__}: {message}')
