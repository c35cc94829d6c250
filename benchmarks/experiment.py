"""The experiments of `configs/`, for benchmarks."""

import importlib.util
import pathlib

CONFIGS = pathlib.Path(__file__).resolve().parent.parent / 'configs'


def load(name: str, variant: str = ''):
  """The config of `configs/NAME.py`."""
  spec = importlib.util.spec_from_file_location(name, CONFIGS / f'{name}.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(variant)
