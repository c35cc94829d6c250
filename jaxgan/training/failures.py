"""Warns of failed training, with a way out: a writer of the log."""

import functools
import logging
import pathlib

import jax

from jaxgan import config as config_lib
from jaxgan.adversarial import losses
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
    who += (
      f' of member {members}'
      if len(reports) == 1
      else (f' of members {members}')
    )
  text = signs.SIGNS[case.sign].says(values)
  way_out = WAYS_OUT[case.sign](config_lib.flatten(config))
  return (
    f'rounds {first:,} to {last:,}: the {who} {text}. {way_out}, in a new '
    'workdir.'
  )


def _weights(fields) -> list[str]:
  """Returns penalties with a weight, as 'penalties.r1=1.0'."""
  return [
    f'{name}={value}'
    for name, value in fields.items()
    if name.startswith('penalties.') and value
  ]


def _given(fields, *names: str) -> list[str]:
  """Returns those of the fields that are on, as 'name=value'."""
  return [f'{name}={fields[name]}' for name in names if fields.get(name)]


def _either(parts: list[str]) -> str:
  return ' or '.join(filter(None, [', '.join(parts[:-1]), *parts[-1:]]))


_SPEED = 'optimizer.learning_rate'


def _end_constant(fields) -> str:
  noise = _given(fields, 'instance_noise', 'label_noise', 'label_flip')
  strong = [*_weights(fields), *noise]
  if not strong:
    strong = _given(fields, f'discriminator.{_SPEED}')
  return f'Lower {_either(strong)}'


def _end_perfect(fields) -> str:
  penalties = _weights(fields) or ['penalties.r1=0.0']
  speed = _either(_given(fields, f'discriminator.{_SPEED}'))
  return f'Raise {_either(penalties)}, or lower {speed}'


# sign -> function of the flat config that returns an instruction.
WAYS_OUT = {'constant': _end_constant, 'perfect': _end_perfect}
