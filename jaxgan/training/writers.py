"""Writers of scalars and images: the console, JSON lines, TensorBoard.

Every writer has `scalars(step, values)`, `images(step, {name: uint8 array})`
and `close()`.
"""

import contextlib
import json
import os
import pathlib
import sys
import time

from jaxgan.core import paths

# Shortest time between two lines if the output is no terminal.
SECONDS_BETWEEN_LINES = 5.0
# Number of metrics in a line. Metrics with an earlier ending come first.
MOST_SHOWN = 5
FIRST_ENDINGS = ('/loss', '/real', '/fake', 'loss', '')
HIDDEN_ENDINGS = ('_norm', '/std', '_std', '_variance')


def write_atomically(path: pathlib.Path, content: str | bytes) -> None:
  """Replaces a file by `content`; on failure the file is unchanged."""
  if isinstance(content, str):
    content = content.encode()
  with paths.replacing(path) as temporary, open(temporary, 'wb') as file:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


class JsonLines:
  """Writes one JSON object a line; it is on disk when `scalars` returns.

  Args:
    path: the file.
    step: the step that the run resumes from. A line of a later step, from a run
      that was killed, stays until a line of that step or a later one is
      written. Incomplete lines are dropped then.
  """

  def __init__(self, path: pathlib.Path, step: int):
    self._path = paths.refuse_special(path)
    self._later = []  # (step, line) to be replaced
    self._is_damaged = False
    text = ''
    if path.exists():
      text = path.read_text(encoding='utf-8', errors='replace')
    self._kept = []
    for line in text.splitlines(keepends=True):
      row = _parsed(line) if line.endswith('\n') else None
      if row is None:
        self._is_damaged = True
      elif row['step'] <= step:
        self._kept.append(line)
      else:
        self._later.append((row['step'], line))
    self._file = path.open('ab', buffering=0)

  def scalars(self, step: int, values: dict[str, float]) -> None:
    line = json.dumps({'step': step, **values}) + '\n'
    if self._later or self._is_damaged:
      self._replace(step, line)
      return
    _append(self._file, line.encode(), os.fstat(self._file.fileno()).st_size)

  def _replace(self, step: int, line: str) -> None:
    """Writes a line in place of old lines up to its step."""
    later = [(k, text) for k, text in self._later if k > step]
    lines = [*self._kept, line, *(text for _, text in later)]
    write_atomically(self._path, ''.join(lines))
    self._kept.append(line)
    self._later, self._is_damaged = later, False
    self._file.close()
    self._file = self._path.open('ab', buffering=0)

  def images(self, step, images):
    pass

  def close(self):
    self._file.close()


def _parsed(line: str) -> dict[str, float] | None:
  """Returns the step and numbers of a line; None if the line is damaged."""
  try:
    row = json.loads(line)
  except (ValueError, RecursionError):
    return None
  if not isinstance(row, dict) or not isinstance(row.get('step'), int):
    return None
  numbers = (int, float, type(None))
  return row if all(isinstance(v, numbers) for v in row.values()) else None


def read_json_lines(path: pathlib.Path) -> list[dict[str, float]]:
  """Reads the lines of `JsonLines`; damaged lines are left out."""
  text = paths.refuse_special(path).read_text(
    encoding='utf-8', errors='replace'
  )
  return [row for line in text.splitlines() if (row := _parsed(line))]


def append_json_line(path: pathlib.Path, values: dict[str, float]) -> None:
  """Adds a line; an incomplete line before it stays separate."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with paths.refuse_special(path).open('ab+', buffering=0) as file:
    text = json.dumps(values).encode() + b'\n'
    size = file.seek(0, os.SEEK_END)
    if size:
      file.seek(-1, os.SEEK_END)
      text = text if file.read(1) == b'\n' else b'\n' + text
    _append(file, text, size)


def _append(file, text: bytes, size: int) -> None:
  """Writes at the end of a raw file; on failure the file keeps its size."""
  try:
    left = memoryview(text)
    while left:
      left = left[file.write(left) :]
    os.fsync(file.fileno())
  except OSError:
    with contextlib.suppress(OSError):
      os.truncate(file.fileno(), size)
    raise


class TensorBoard:
  """Writes event files, which hide events of an earlier run after `step`.

  Events are written at once. `tensorboardX.SummaryWriter` uses a thread, and
  waits for ever if a full disk or a clock that jumps ends that thread.
  """

  def __init__(self, folder: pathlib.Path, step: int):
    from tensorboardX import event_file_writer

    is_resumed = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    self._file = event_file_writer.EventsWriter(str(folder / 'events'))
    if is_resumed:
      from tensorboardX.proto import event_pb2

      status = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
      self._write(step + 1 if step else 0, session_log=status)

  def _write(self, step: int, **fields) -> None:
    from tensorboardX.proto import event_pb2

    event = event_pb2.Event(wall_time=time.time(), step=step, **fields)
    self._file.write_event(event)

  def scalars(self, step, values):
    from tensorboardX import summary

    for name, value in values.items():
      self._write(step, summary=summary.scalar(name, value))
    self._file.flush()

  def images(self, step, images):
    from tensorboardX import summary

    for name, image in images.items():
      event = summary.image(name, image, dataformats='HWC')
      self._write(step, summary=event)
    self._file.flush()

  def close(self):
    self._file.close()


def most_telling(values: dict[str, float]) -> dict[str, float]:
  """Returns the few metrics that the console shows.

  Training losses come first, then outputs of discriminators, other losses, and
  other metrics, each kind sorted by name. Metrics of members, and names with an
  ending of `HIDDEN_ENDINGS`, are left out.
  """

  def order(name):
    kind = next(
      k for k, ending in enumerate(FIRST_ENDINGS) if name.endswith(ending)
    )
    return kind, name

  names = [
    n
    for n in values
    if '/' in n and '/member_' not in n and not n.endswith(HIDDEN_ENDINGS)
  ]
  return {name: values[name] for name in sorted(names, key=order)[:MOST_SHOWN]}


class Console:
  """Shows a progress bar on a terminal, else lines at a readable rate.

  Args:
    num_steps: the last step of the run.
    step: the first step.
  """

  def __init__(self, num_steps: int, step: int):
    self._num_steps = num_steps
    self._printed = float('-inf')
    self._bar = None
    if sys.stdout.isatty():
      import tqdm

      self._bar = tqdm.tqdm(
        total=num_steps,
        initial=step,
        unit='step',
        file=sys.stdout,
        dynamic_ncols=True,
      )

  def scalars(self, step, values):
    shown = {
      name.replace('discriminator', 'D').replace('generator', 'G'): value
      for name, value in most_telling(values).items()
    }
    if self._bar is not None:
      postfix = {name: f'{value:.3f}' for name, value in shown.items()}
      self._bar.set_postfix(postfix, refresh=False)
      self._bar.update(step - self._bar.n)
      return
    now = time.monotonic()
    is_last = step == self._num_steps
    if now - self._printed < SECONDS_BETWEEN_LINES and not is_last:
      return
    self._printed = now
    rate = values.get('steps_per_second', 0.0)
    left = (self._num_steps - step) / rate if rate else 0.0
    parts = [f'step {step:,} of {self._num_steps:,}']
    parts += [f'{name} {value:.3f}' for name, value in shown.items()]
    parts += [f'{rate:.1f} steps/s', f'{_duration(left)} left']
    print('  '.join(parts), flush=True)

  def images(self, step, images):
    pass

  def close(self):
    if self._bar is not None:
      self._bar.close()


def _duration(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours}h {minutes:02d}m'
  return f'{minutes}m {seconds:02d}s'


class All:
  """Writes to several writers in turn."""

  def __init__(self, *writers):
    self._writers = writers

  def scalars(self, step, values):
    for writer in self._writers:
      writer.scalars(step, values)

  def images(self, step, images):
    for writer in self._writers:
      writer.images(step, images)

  def close(self):
    for writer in self._writers:
      writer.close()
