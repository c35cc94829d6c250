"""Writes animations as GIF or MP4."""

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
from jaxgan.core import paths
from jaxgan.core import pixels as pixels_lib

# Limits and durations of `gif`.
MOST_FRAMES = 60
SECONDS_PER_FRAME = 0.15
SECONDS_AT_END = 2.0

# Largest number of frames per second. GIF durations are hundredths of a second,
# and browsers slow down frames that last a single hundredth.
FASTEST = {'gif': 50, 'mp4': 120}


def gif(frames: Sequence[pathlib.Path], path: pathlib.Path) -> None:
  """Writes an endless GIF of PNG files.

  Of more than `MOST_FRAMES` files, frames at even distances are shown. Without
  files nothing is written. Transparent parts are white.
  """
  if not frames:
    return
  if len(frames) > MOST_FRAMES:
    last = len(frames) - 1
    indices = [round(k * last / (MOST_FRAMES - 1)) for k in range(MOST_FRAMES)]
    frames = [frames[k] for k in indices]
  pictures = []
  for frame in frames:
    with Image.open(frame, formats=['PNG']) as picture:
      if picture.mode == 'RGBA':
        picture = Image.fromarray(pixels_lib.on_white(np.asarray(picture)))
      pictures.append(picture.convert('L' if picture.mode == 'L' else 'RGB'))
  durations = [round(1000 * SECONDS_PER_FRAME)] * len(pictures)
  durations[-1] = round(1000 * SECONDS_AT_END)
  _save_gif(pictures, durations, path)


def _save_gif(
  pictures: Iterable[Image.Image], durations: list[int], path: pathlib.Path
) -> None:
  """Writes an endless GIF; durations are in milliseconds."""
  pictures = iter(pictures)
  with paths.replacing(path) as temporary:
    next(pictures).save(
      temporary,
      format='GIF',
      save_all=True,
      append_images=pictures,
      duration=durations,
      loop=0,
    )


def _gif(frames, num, frames_per_second, path):
  # Ends are rounded, not durations, so that the average rate is exact.
  ends = [round(100 * k / frames_per_second) for k in range(num + 1)]
  durations = [10 * (b - a) for a, b in itertools.pairwise(ends)]
  pictures = (
    Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
    for frame in frames
  )
  _save_gif(pictures, durations, path)


def _ffmpeg() -> str:
  """Returns the path of ffmpeg, which writes MP4.

  Raises:
    UserError: if ffmpeg is not installed.
  """
  try:
    return importlib.import_module('imageio_ffmpeg').get_ffmpeg_exe()
  except (ImportError, RuntimeError):
    raise errors.UserError(
      '--format=mp4 needs ffmpeg. Run pip install imageio-ffmpeg (the extra '
      'jaxgan[video]) or set --format=gif.'
    ) from None


def _mp4(frames, num, frames_per_second, path):
  del num
  frames = map(_even, frames)
  first = next(frames)
  height, width, channels = first.shape
  rate = fractions.Fraction(frames_per_second).limit_denominator(10_000)
  command = [_ffmpeg(), '-y', '-loglevel', 'error', '-f', 'rawvideo']
  command += ['-pix_fmt', 'gray' if channels == 1 else 'rgb24']
  command += ['-s', f'{width}x{height}', '-r', str(rate), '-i', '-']
  command += ['-c:v', 'libx264', '-crf', '18', '-pix_fmt', 'yuv420p']
  # For equal bytes on every run: x264 depends on the number of threads, and
  # ffmpeg records its version.
  command += ['-threads', '1', '-fflags', '+bitexact', '-flags:v', '+bitexact']
  command += ['-movflags', '+faststart', '-f', 'mp4']
  with paths.replacing(path) as temporary, tempfile.TemporaryFile() as log:
    command.append(str(temporary))
    with subprocess.Popen(
      command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log
    ) as process:
      try:
        for frame in itertools.chain([first], frames):
          process.stdin.write(frame.tobytes())
        process.stdin.close()
      except BrokenPipeError:
        pass  # The log has the reason.
      except BaseException:
        process.kill()
        raise
    if process.returncode:
      log.seek(0)
      lines = log.read().decode(errors='replace').strip().splitlines()
      reason = lines[0] if lines else f'exit code {process.returncode}'
      raise errors.StorageError(f'{path}: ffmpeg failed: {reason}')


def _even(frame):
  """Repeats the last row or column of odd sides: 4:2:0 needs even sides."""
  height, width, _ = frame.shape
  if height % 2 or width % 2:
    frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), 'edge')
  return frame


_WRITERS = {'gif': _gif, 'mp4': _mp4}


def check(kind: str, frames_per_second: float) -> None:
  """Checks the arguments of `write` before any work is done.

  Args:
    kind: 'gif' or 'mp4'.
    frames_per_second: frame rate of the animation.

  Raises:
    UserError: for a wrong rate, or if ffmpeg is not installed.
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
  """Writes an endless GIF, or an MP4 (H.264) that browsers can play.

  Equal frames give equal bytes. The file is complete or absent.

  Args:
    frames: yields pictures uint8 [height, width, 1, 3 or 4]. Transparent parts
      are shown on white. A GIF has 256 colours a frame. An MP4 has even sides:
      odd sides grow by a row or a column.
    num: number of frames.
    frames_per_second: frame rate, at most `FASTEST`.
    path: the file; its suffix, '.gif' or '.mp4', selects the format.

  Raises:
    StorageError: if ffmpeg fails.
  """
  frames = map(pixels_lib.on_white, frames)
  _WRITERS[path.suffix.removeprefix('.')](frames, num, frames_per_second, path)
