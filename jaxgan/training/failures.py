"""Warns of failed training, with a way out: a writer of the log."""

import functools
import logging
import pathlib

import jax

from jaxgan import config as config_lib
from jaxgan.adversarial import losses
from jaxgan.adversarial.game import Game
from jaxgan.training import signs, writers

_logger = logging.getLogger(__name__)


@functools.cache
def _levels(pair: losses.Pair) -> losses.Levels:
  with jax.transfer_guard('allow'):
    return losses.levels(pair)


class Watch:
  """Looks for signs of failure in each line of the log.

  Args:
    path: `metrics.jsonl`; its lines up to `step` are read first.
    step: the step that the run resumes from.
    configs: configs of the run, or of all members.
    methods: their methods.
  """

  def __init__(self, path: pathlib.Path, step: int, configs, methods):
    self._configs = configs
    self._levels = lambda member: _levels(methods[member or 0].loss)
    self._state = signs.State()
    for row in writers.read_json_lines(path) if path.exists() else ():
      if row['step'] <= step:
        self._state, _ = signs.fold(self._state, row, self._levels)

  def scalars(self, step, values):
    line = {'step': step, **values}
    self._state, reports = signs.fold(self._state, line, self._levels)
    groups = {}
    for report in reports:
      key = report.case._replace(member=None)
      groups.setdefault(key, []).append(report)
    for reports in groups.values():
      config = self._configs[reports[0].case.member or 0]
      _logger.warning('warning: %s', message(reports, config))

  def images(self, step, images):
    pass

  def close(self):
    pass


def watch(path: pathlib.Path, step: int, configs, methods) -> list[Watch]:
  """Returns a watch for a game, and none for other methods; see `Watch`."""
  is_game = isinstance(methods[0], Game)
  return [Watch(path, step, configs, methods)] if is_game else []


def message(reports: list[signs.Report], config) -> str:
  """Returns a line for a sign, with fields to change and their values.

  Args:
    reports: the same sign of the same network, of different members.
    config: config of the first member.
  """
  case, first, last, values = reports[0]
  who = case.network
  if case.member is not None:
    members = ', '.join(str(report.case.member) for report in reports)
    who += f' of member{"s" * (len(reports) > 1)} {members}'
  text = signs.SIGNS[case.sign].says(values)
  way_out = WAYS_OUT[case.sign](config_lib.flatten(config))
  return (
    f'rounds {first:,} to {last:,}: the {who} {text}. {way_out}, in a new '
    'workdir.'
  )


def _given(fields, *names: str) -> list[str]:
  """Returns those of the fields that are on, as 'name=value'."""
  return [f'{name}={fields[name]}' for name in names if fields.get(name)]


def _weights(fields) -> list[str]:
  names = [name for name in fields if name.startswith('penalties.')]
  return _given(fields, *names)


def _either(parts: list[str]) -> str:
  *others, last = parts
  return f'{", ".join(others)} or {last}' if others else last


def _penalties(fields) -> str:
  return _either(_weights(fields) or ['penalties.r1=0.0'])


def _speed(fields, network: str) -> str:
  name = f'{network}.optimizer.learning_rate'
  return f'{name}={fields[name]}'


def _end_constant(fields) -> str:
  noise = ('instance_noise', 'label_noise', 'label_flip')
  if strong := [*_weights(fields), *_given(fields, *noise)]:
    return f'Lower {_either(strong)}'
  if clip := _given(fields, 'discriminator.optimizer.clip_weights'):
    return f'Raise {_either(clip)}'
  return f'Lower {_speed(fields, "discriminator")}'


def _end_perfect(fields) -> str:
  slower = f'lower {_speed(fields, "discriminator")}'
  return _either([f'Raise {_penalties(fields)}', slower])


def _end_collapse(fields) -> str:
  if clip := _given(fields, 'generator.optimizer.clip_weights'):
    return f'Raise {_either(clip)}'
  ways = [
    f'Lower {_speed(fields, "generator")}',
    f'raise {_penalties(fields)}',
  ]
  is_plain = fields['method'] == 'gan' and not fields['conditional']
  if is_plain and fields['pack'] == 1:
    ways.append('set pack=2')
  if fields.get('discriminator.minibatch_stddev') is False:
    ways.append('set discriminator.minibatch_stddev=True')
  return _either(ways)


def _end_vanished(fields) -> str:
  if fields['loss'] == 'minimax':
    return "Set loss='non_saturating' instead of loss='minimax'"
  return _end_perfect(fields)


def _end_overfit(fields) -> str:
  ways = [f'Raise {_penalties(fields)}']
  if fields.get('augment') == []:
    ways.append("set augment=('color','translation','cutout')")
  return _either([*ways, 'train on more images'])


# sign -> function of the flat config that returns an instruction.
WAYS_OUT = {
  'constant': _end_constant,
  'perfect': _end_perfect,
  'equal': _end_collapse,
  'vanished': _end_vanished,
  'overfit': _end_overfit,
  'one class': _end_collapse,
}
