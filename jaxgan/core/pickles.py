"""Interprets pickles as data, and runs nothing that is in them.

A pickle is a program for a machine with a stack and a memo. Python's own
machine calls the functions that the program names. This one knows the opcodes
of plain data, and refuses other opcodes and names. The memory for a pickle is
proportional to its length.
"""

import dataclasses
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

MARK = object()


class Refused(ValueError):
  """A pickle has something that is not read."""


@dataclasses.dataclass(eq=False)
class Instance:
  """An object of a class, as data.

  Attributes:
    name: dotted name of its class.
    args: arguments that the class was called with.
    state: its attributes, usually by name.
  """

  name: str
  args: tuple = ()
  state: Any = None


@dataclasses.dataclass(frozen=True)
class Name:
  """A function or a class that the pickle names and does not call."""

  name: str


class _Machine:
  """The stack and the memo of one pickle."""

  def __init__(self, names: Mapping[str, Callable], load: Callable | None):
    self.names, self.load = names, load
    self.stack, self.memo = [], {}

  def pop(self, kind: type = object):
    value = self.stack.pop()
    if value is MARK or not isinstance(value, kind):
      raise Refused(f'a {kind.__name__} is missing')
    return value

  def above_mark(self) -> list:
    """Removes and returns the values above the last mark."""
    for index in reversed(range(len(self.stack))):
      if self.stack[index] is MARK:
        values = self.stack[index + 1 :]
        del self.stack[index:]
        return values
    raise Refused('a mark is missing')

  def top(self, kind: type):
    if not self.stack or not isinstance(self.stack[-1], kind):
      raise Refused(f'a {kind.__name__} is missing')
    return self.stack[-1]

  def push_name(self, name: str) -> None:
    if name not in self.names:
      raise Refused(f'{name} is not allowed')
    self.stack.append(Name(name))

  def call(self) -> None:
    args = self.pop(tuple)
    self.stack.append(self.names[self.pop(Name).name](*args))

  def set_state(self) -> None:
    state = self.pop()
    if isinstance(self.stack[-1], Instance):
      self.stack[-1].state = state
    else:
      self.top(dict)  # Its attributes, as those of a state dict, are left out.

  def load_persistent(self) -> None:
    if self.load is None:
      raise Refused('a storage is not allowed here')
    self.stack.append(self.load(self.pop(tuple)))


# Opcodes whose argument is the value.
_VALUES = (
  *('BININT', 'BININT1', 'BININT2', 'LONG1', 'LONG4', 'BINFLOAT'),
  *('BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8', 'BINSTRING'),
  *('SHORT_BINSTRING', 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8'),
)
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_EMPTY = {
  'EMPTY_LIST': list,
  'EMPTY_DICT': dict,
  'EMPTY_SET': set,
  'EMPTY_TUPLE': tuple,
}


def keys(values) -> list:
  """Returns keys or members, which must be texts or integers.

  Hashes of nested tuples could overflow the stack of C.
  """
  values = list(values)
  if wrong := [v for v in values if not isinstance(v, (str, bytes, int))]:
    raise Refused(f'a key is a {type(wrong[0]).__name__}')
  return values


def _pairs(values: list) -> dict:
  return dict(zip(keys(values[::2]), values[1::2], strict=True))


# Opcodes that take all values above the last mark.
_OF_MARK = {
  'TUPLE': lambda m, values: m.stack.append(tuple(values)),
  'LIST': lambda m, values: m.stack.append(values),
  'DICT': lambda m, values: m.stack.append(_pairs(values)),
  'FROZENSET': lambda m, values: m.stack.append(set(keys(values))),
  'APPENDS': lambda m, values: m.top(list).extend(values),
  'ADDITEMS': lambda m, values: m.top(set).update(keys(values)),
  'SETITEMS': lambda m, values: m.top(dict).update(_pairs(values)),
  'POP_MARK': lambda m, values: None,
}


def _tuple(size: int):
  def make(machine, arg):
    values = [machine.pop() for _ in range(size)]
    machine.stack.append(tuple(values[::-1]))

  return make


def _append(machine, arg) -> None:
  value = machine.pop()
  machine.top(list).append(value)


def _set_item(machine, arg) -> None:
  value, key = machine.pop(), machine.pop()
  machine.top(dict).update(_pairs([key, value]))


def _put(machine, arg) -> None:
  value = machine.pop()
  machine.stack.append(value)
  machine.memo[len(machine.memo) if arg is None else arg] = value


def _global(machine, arg) -> None:
  machine.push_name(arg.replace(' ', '.'))


def _stack_global(machine, arg) -> None:
  name, module = machine.pop(str), machine.pop(str)
  machine.push_name(f'{module}.{name}')


def _nothing(machine, arg) -> None:
  del machine, arg


# Opcode -> function of the machine and the opcode's argument.
OPCODES: dict[str, Callable] = {
  **dict.fromkeys(_VALUES, lambda machine, arg: machine.stack.append(arg)),
  **{
    name: lambda machine, arg, value=value: machine.stack.append(value)
    for name, value in _CONSTANTS.items()
  },
  **{
    name: lambda machine, arg, make=make: machine.stack.append(make())
    for name, make in _EMPTY.items()
  },
  **{
    name: lambda machine, arg, use=use: use(machine, machine.above_mark())
    for name, use in _OF_MARK.items()
  },
  **{f'TUPLE{size}': _tuple(size) for size in (1, 2, 3)},
  **dict.fromkeys(('PROTO', 'FRAME'), _nothing),
  **dict.fromkeys(('PUT', 'BINPUT', 'LONG_BINPUT', 'MEMOIZE'), _put),
  **dict.fromkeys(
    ('GET', 'BINGET', 'LONG_BINGET'),
    lambda machine, arg: machine.stack.append(machine.memo[arg]),
  ),
  **dict.fromkeys(('REDUCE', 'NEWOBJ'), lambda machine, arg: machine.call()),
  'MARK': lambda machine, arg: machine.stack.append(MARK),
  'POP': lambda machine, arg: machine.pop(),
  'APPEND': _append,
  'SETITEM': _set_item,
  'GLOBAL': _global,
  'STACK_GLOBAL': _stack_global,
  'BUILD': lambda machine, arg: machine.set_state(),
  'BINPERSID': lambda machine, arg: machine.load_persistent(),
}


def read(
  file: BinaryIO,
  names: Mapping[str, Callable],
  load: Callable[[tuple], Any] | None = None,
):
  """Reads one pickle, and leaves the file after its end.

  Args:
    file: a binary file whose `read` allocates no more than there is to read.
    names: dotted name -> function of the arguments, for every function and
      class that the pickle may name. A name that is not called stays a `Name`.
    load: function of a persistent id; None to refuse them.

  Returns:
    Plain data, results of `names`, and results of `load`.

  Raises:
    Refused: with the opcode or the name that is refused.
    Exception: any type of error, for damaged pickles.
  """
  machine = _Machine(names, load)
  for opcode, arg, _ in pickletools.genops(file):
    if opcode.name == 'STOP':
      return machine.pop()
    if opcode.name not in OPCODES:
      raise Refused(f'opcode {opcode.name} is not allowed')
    OPCODES[opcode.name](machine, arg)
  raise EOFError('the pickle has no end')
