"""Values that a field may have, recorded where the field is declared.

A field of a dataclass, for example of a network, takes its range from `ranged`:

  widths: tuple[int, ...] = ranged((128, 256), 1, MOST_UNITS)

Fields without a range are checked by their annotation.
"""

import dataclasses
import functools
import math
import numbers
import typing
from collections.abc import Callable, Collection
from typing import Any

from jaxgan.core import switches

MOST_UNITS = 2**16  # of a layer
MOST_KERNEL = 15  # side of a kernel; XLA compiles larger ones for minutes
MOST_STRIDE = 16
MOST_ROUNDS = 2**31 - 1  # The step of a state has 32 bits.
LARGEST_FLOAT = 3.4e38  # of 32 bits
NOT_EMPTY = (1, math.inf)  # lengths of a tuple

# type -> its name, and the name of a tuple of its values.
_NAMES = {
  bool: ('True or False', 'a tuple of True and False'),
  int: ('a whole number', 'a tuple of whole numbers, as (64, 128)'),
  float: ('a number', 'a tuple of numbers, as (0.2, 0.2)'),
  str: ('a text', "a tuple of texts, as ('a', 'b')"),
  object: ('a value', 'a tuple'),
}


@dataclasses.dataclass(frozen=True)
class Range:
  """Values that a field may have.

  Attributes:
    kind: bool, int, float, str, or object for any value.
    is_tuple: True for a tuple of such values.
    low: smallest value.
    high: largest value.
    above: largest value that is too small.
    below: smallest value that is too large.
    one_of: all values, for example the table that a text is a key of.
    lengths: smallest and largest length of a tuple.
    rule: returns True for a valid value.
    message: explains `rule`, for example 'must be two rounds, as 100,110'.
  """

  kind: type = object
  is_tuple: bool = False
  low: float | None = None
  high: float | None = None
  above: float | None = None
  below: float | None = None
  one_of: Collection | None = None
  lengths: tuple[float, float] = (0, math.inf)
  rule: Callable[[Any], bool] | None = None
  message: str = ''

  def problem(self, value) -> str:
    """Explains why a value is refused, or returns '' if it is valid.

    Values that a sweep traces are valid, because they were checked before.
    """
    if not switches.is_known(value):
      return ''
    if not self.is_tuple:
      return self._item_problem(value)
    least, most = self.lengths
    if not isinstance(value, (tuple, list)) or any(
      self._type_problem(item) for item in value
    ):
      return self.message or f'must be {_NAMES[self.kind][1]}'
    if not least <= len(value) <= most:
      count = f'{least}' if least == most else f'at least {least}'
      return f'must have {count} {"entry" if least == 1 else "entries"}'
    for item in value:
      if message := self._item_problem(item):
        return self._entry_problem(item, message)
    return self._rule_problem(value)

  def _entry_problem(self, item, message: str) -> str:
    if self.one_of is None:
      return f'is wrong because each entry {message}'
    is_list = isinstance(item, str) and ',' in item
    names = tuple(part.strip() for part in str(item).split(','))
    hint = f'. Write several as "{names}"' if is_list else ''
    return f'is wrong because the entry {item!r} {message}{hint}'

  def _item_problem(self, value) -> str:
    message = self._type_problem(value)
    if message or self.kind is object:
      return message
    if self.one_of is not None and value not in self.one_of:
      names = sorted(str(name) or "''" for name in self.one_of)
      if self.kind is str:
        return f'is unknown. Choose one of: {", ".join(names)}'
      return f'must be one of {", ".join(names)}'
    if self.kind in (int, float) and not self._is_inside(value):
      return f'must be {self._limits()}'
    return '' if self.is_tuple else self._rule_problem(value)

  def _rule_problem(self, value) -> str:
    return '' if self.rule is None or self.rule(value) else self.message

  def _type_problem(self, value) -> str:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if is_number and isinstance(value, numbers.Integral):
      if self.kind is float and abs(value) >= 2**31:
        # JAX takes it for an integer of 32 bits.
        return 'must be below 2**31 or have a decimal point, as 1e12'
      if self.kind is not float and abs(value) >= 2**63 and self.high is None:
        return 'must be below 2**63'
    elif is_number and not math.isfinite(value):
      return 'must be finite'
    if is_number and self.kind is float and abs(value) > LARGEST_FLOAT:
      return f'must be below {LARGEST_FLOAT:g}'
    fits = {
      object: True,
      float: is_number,
      int: is_number and isinstance(value, numbers.Integral),
      bool: isinstance(value, bool),
      str: isinstance(value, str),
    }
    return '' if fits[self.kind] else f'must be {_NAMES[self.kind][0]}'

  def _is_inside(self, value) -> bool:
    return (
      (self.low is None or value >= self.low)
      and (self.high is None or value <= self.high)
      and (self.above is None or value > self.above)
      and (self.below is None or value < self.below)
    )

  def _limits(self) -> str:
    """Describes the limits, for example 'in [0, 1)' or 'at least 1'."""
    start = self.above if self.low is None else self.low
    end = self.below if self.high is None else self.high
    if start is None:
      return f'{"below" if self.high is None else "at most"} {end}'
    if end is None and self.low is None:
      return 'positive' if start == 0 else f'above {start}'
    if end is None:
      return f'at least {start}'
    if self.kind is int:
      return f'in {self.low}..{self.high}'
    opening = '(' if self.low is None else '['
    return f'in {opening}{start}, {end}{")" if self.high is None else "]"}'


def of_default(default, low=None, high=None, items=None, **limits) -> Range:
  """Returns the range of a field whose type is that of its default.

  Args:
    default: default of the field.
    low: smallest value.
    high: largest value.
    items: type of the entries of a tuple; by default that of the first one.
    **limits: further attributes of `Range`.
  """
  is_tuple = isinstance(default, tuple)
  if is_tuple and items is None:
    items = type(default[0]) if default else object
  kind = items if is_tuple else type(default)
  return Range(kind, is_tuple, low, high, **limits)


def ranged(default, low=None, high=None, **limits):
  """Declares a field of a dataclass with a default and a range.

  Args:
    default: default of the field.
    low: smallest value.
    high: largest value.
    **limits: see `of_default`.
  """
  limits = of_default(default, low, high, **limits)
  return dataclasses.field(default=default, metadata={'range': limits})


@functools.cache
def of_dataclass(cls: type) -> dict[str, Range]:
  """Returns the range of each field of a dataclass.

  The range of a field without one follows from its annotation, unless the
  field's own default has another type.
  """
  return {field.name: _of_field(field) for field in dataclasses.fields(cls)}


def _of_field(field: dataclasses.Field) -> Range:
  if 'range' in field.metadata:
    return field.metadata['range']
  items = typing.get_args(field.type)
  is_tuple = typing.get_origin(field.type) is tuple
  kinds = {item for item in items if item is not ...} if is_tuple else ()
  kind = next(iter(kinds)) if len(kinds) == 1 else field.type
  if kind not in (bool, int, float, str):
    return Range()
  inferred = Range(kind, is_tuple)
  if field.default is dataclasses.MISSING or not inferred.problem(
    field.default
  ):
    return inferred
  return Range()
