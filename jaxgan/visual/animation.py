"""Pictures in turn, as GIF or MP4."""

import fractions
import importlib
import itertools
import pathlib
import subprocess
import tempfile
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from jaxgan import errors

# Of `gif`, that shows how a run went.
MOST_FRAMES = 60
SECONDS_PER_FRAME = 0.15
SECONDS_AT_END = 2.0

# Frames per second. A GIF counts in hundredths of a second, and browsers slow
# down frames that last one.
FASTEST = {'gif': 50, 'mp4': 120}


def gif(frames: Sequence[pathlib.Path], path: pathlib.Path) -> None:
  """Writes an endless GIF of PNG files; of many, evenly spaced ones."""
  if not frames:
    return
  if len(frames) > MOST_FRAMES:
    last = len(frames) - 1
    picked = [round(k * last / (MOST_FRAMES - 1)) for k in range(MOST_FRAMES)]
    frames = [frames[k] for k in picked]
  pictures = []
  for frame in frames:
    with Image.open(frame) as picture:
      grey = picture.mode == 'L'
      pictures.append(picture.convert('L' if grey else 'RGB'))
  durations = [round(1000 * SECONDS_PER_FRAME)] * len(pictures)
  durations[-1] = round(1000 * SECONDS_AT_END)
  _save_gif(pictures, durations, path)


def _save_gif(
  pictures: Iterable[Image.Image], durations: list[int], path: pathlib.Path
) -> None:
  """Durations are in milliseconds."""
  pictures = iter(pictures)
  temporary = path.with_name(f'.{path.name}.tmp')
  next(pictures).save(
    temporary,
    format='GIF',
    save_all=True,
    append_images=pictures,
    duration=durations,
    loop=0,
  )
  temporary.replace(path)


def _gif(frames, num, frames_per_second, path):
  # Rounded so that the rate is kept on average.
  ends = [round(100 * k / frames_per_second) for k in range(num + 1)]
  durations = [10 * (b - a) for a, b in itertools.pairwise(ends)]
  pictures = (
    Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
    for frame in frames
  )
  _save_gif(pictures, durations, path)


def _ffmpeg() -> str:
  """The program that writes MP4.

  Raises:
    UserError: if it is not installed.
  """
  try:
    return importlib.import_module('imageio_ffmpeg').get_ffmpeg_exe()
  except (ImportError, RuntimeError):
    raise errors.UserError(
      '--format=mp4 needs ffmpeg; install the extra jaxgan[video] or: '
      'pip install imageio-ffmpeg. --format=gif works without'
    ) from None


def _mp4(frames, num, frames_per_second, path):
  del num
  frames = map(_even, frames)
  first = next(frames)
  height, width, channels = first.shape
  rate = fractions.Fraction(frames_per_second).limit_denominator(10_000)
  temporary = path.with_name(f'.{path.name}.tmp')
  command = [_ffmpeg(), '-y', '-loglevel', 'error', '-f', 'rawvideo']
  command += ['-pix_fmt', 'gray' if channels == 1 else 'rgb24']
  command += ['-s', f'{width}x{height}', '-r', str(rate), '-i', '-']
  command += ['-c:v', 'libx264', '-crf', '18', '-pix_fmt', 'yuv420p']
  # The same bytes again: x264 decides by its number of threads, and ffmpeg
  # writes down its version.
  command += ['-threads', '1', '-fflags', '+bitexact', '-flags:v', '+bitexact']
  command += ['-movflags', '+faststart', '-f', 'mp4', str(temporary)]
  with tempfile.TemporaryFile() as said:
    with subprocess.Popen(
      command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
    ) as process:
      try:
        for frame in itertools.chain([first], frames):
          process.stdin.write(frame.tobytes())
        process.stdin.close()
      except BrokenPipeError:
        pass  # It says why.
      except BaseException:
        process.kill()
        raise
    if process.returncode:
      temporary.unlink(missing_ok=True)
      said.seek(0)
      lines = said.read().decode(errors='replace').strip().splitlines()
      reason = lines[0] if lines else f'exit code {process.returncode}'
      raise errors.StorageError(f'{path}: ffmpeg failed: {reason}')
  temporary.replace(path)


def _even(frame):
  """Adds a row or a column to odd sides: 4:2:0 has even ones only."""
  height, width, _ = frame.shape
  if height % 2 or width % 2:
    frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), 'edge')
  return frame


_WRITERS = {'gif': _gif, 'mp4': _mp4}


def check(kind: str, frames_per_second: float) -> None:
  """Raises a UserError if `write` could not, before any work is done.

  Args:
    kind: 'gif' or 'mp4'.
    frames_per_second: of the animation.
  """
  if not 0 < frames_per_second <= FASTEST[kind]:
    raise errors.UserError(
      f'--frames_per_second={frames_per_second:g} must be above 0 and at most '
      f'{FASTEST[kind]} with --format={kind}'
    )
  if kind == 'mp4':
    _ffmpeg()


def write(
  frames: Iterable[np.ndarray],
  num: int,
  frames_per_second: float,
  path: pathlib.Path,
) -> None:
  """Writes an endless GIF, or an MP4 (H.264) that browsers show.

  The same frames give the same bytes.

  Args:
    frames: uint8 [height, width, 1 or 3] each, taken one by one. A GIF has 256
      colours a frame, an MP4 even sides (odd ones grow by a row or a column).
    num: how many there are.
    frames_per_second: at most `FASTEST`.
    path: the file, whole or not at all; its suffix says what to write.

  Raises:
    StorageError: if ffmpeg fails.
  """
  _WRITERS[path.suffix.removeprefix('.')](frames, num, frames_per_second, path)
