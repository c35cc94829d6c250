"""Reads the fields of a request; every wrong field is a UserError."""

import base64
import binascii
import math

import numpy as np

from jaxgan import errors

LONGEST_SHOWN = 40  # characters of a wrong value in a message


def _wrong(name: str, value, rule: str) -> errors.UserError:
  text = repr(value)
  if len(text) > LONGEST_SHOWN:
    text = f'{text[:LONGEST_SHOWN]}...'
  return errors.UserError(f'{name}={text} {rule}.')


def number(form: dict, name: str, low: float, high: float, default=None):
  """Returns a number in low..high; `default` if it is missing or null."""
  value = form.get(name)
  if value is None:
    return default
  is_number = isinstance(value, int | float) and not isinstance(value, bool)
  if not is_number or not low <= value <= high:
    raise _wrong(name, value, f'must be a number in {low}..{high}')
  return value


def integer(form: dict, name: str, low: int, high: int, default=None):
  """Returns a whole number in low..high; see `number`."""
  value = number(form, name, low, high, default)
  if value is not None and value != int(value):
    raise _wrong(name, value, f'must be a whole number in {low}..{high}')
  return value if value is None else int(value)


def numbers(form: dict, name: str, most: int, low: float, high: float) -> list:
  """Returns a list of at most `most` numbers in low..high; [] if missing."""
  values = form.get(name) or []
  if not isinstance(values, list) or len(values) > most:
    raise _wrong(name, values, f'must be a list of at most {most} numbers')
  return [number({name: v}, name, low, high, math.nan) for v in values]


def choice(form: dict, name: str, values, default=None):
  """Returns one of some texts."""
  value = form.get(name, default)
  if not isinstance(value, str) or value not in values:
    names = ', '.join(values)
    raise _wrong(name, value, f'is unknown. Choose one of: {names}')
  return value


def content(form: dict, name: str, most: int) -> bytes:
  """Returns bytes that were sent as base64; b'' if they are missing."""
  text = form.get(name) or ''
  if not isinstance(text, str):
    raise _wrong(name, text, 'must be base64')
  if len(text) > 4 * (most // 3 + 1):
    raise errors.UserError(
      f'{name} has more than {most:,} bytes. Send a smaller file.'
    )
  try:
    return base64.b64decode(text, validate=True)
  except (binascii.Error, ValueError):
    raise _wrong(name, text, 'must be base64') from None


def latents(form: dict, size: int, most: int) -> np.ndarray:
  """Returns the field 'latents', float32 [N, size] with N in 1..most."""
  data = content(form, 'latents', 4 * size * most)
  if not data or len(data) % (4 * size):
    raise errors.UserError(
      f'latents has {len(data)} bytes and this run has {size} numbers of 4 '
      'bytes for each image. Reload the page.'
    )
  z = np.frombuffer(data, '<f4').reshape(-1, size)
  if not np.isfinite(z).all():
    raise errors.UserError('latents has numbers that are not finite.')
  return z


def encoded(array: np.ndarray) -> str:
  """Returns an array as base64 of float32."""
  return base64.b64encode(np.asarray(array, '<f4').tobytes()).decode()
