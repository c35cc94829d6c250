"""Config fields, their ranges, and what a resumed run may change.

A file in `configs/` starts from `defaults()`, adds fields of
`jaxgan.config.presets`, and changes what its experiment needs. Config files
are Python and are executed: run only those you trust.
"""

from jaxgan.config.fields import (
  ENGINES,
  PRECISIONS,
  defaults,
  flatten,
  from_json,
  vary,
)
from jaxgan.config.formats import FORMAT, apply_rules, rules_of
from jaxgan.config.resume import (
  DEFAULTS_OF_OLD_RUNS,
  RESUMABLE_FIELDS,
  differences,
)
from jaxgan.config.validate import missing, validate, wrong_of_record

__all__ = [
  'DEFAULTS_OF_OLD_RUNS',
  'ENGINES',
  'FORMAT',
  'PRECISIONS',
  'RESUMABLE_FIELDS',
  'apply_rules',
  'defaults',
  'differences',
  'flatten',
  'from_json',
  'missing',
  'rules_of',
  'validate',
  'vary',
  'wrong_of_record',
]
