"""Makes the golden arrays of adaptive augmentation from the reference.

  python -m tests.golden.make_ada FOLDER

FOLDER is a clone of NVlabs/stylegan2-ada-pytorch. PyTorch and NumPy are
required, and nothing else. The file `ada.npz` is beside this script.

Every operation, and whole pipes, run in float64 on images of `value`, where all
random numbers have a given percentile (`debug_percentile`). Arrays of whole
pipes also have the gradient of their sum with the weights `probe`.
"""

import importlib
import importlib.util
import pathlib
import sys
import types

import numpy as np

from tests.golden.make_residual import value

FOLDER = pathlib.Path(__file__).parent
SHAPES = {'rgb': (16, 12, 3), 'grey': (9, 11, 1)}
_GEOMETRY = ('xflip', 'rotate90', 'xint', 'scale', 'rotate', 'aniso', 'xfrac')
_COLOUR = ('brightness', 'contrast', 'lumaflip', 'hue', 'saturation')
OPERATIONS = (*_GEOMETRY, *_COLOUR, 'cutout')
PIPES = {
  'bg': _GEOMETRY,
  'c': _COLOUR,
  'bgc': _GEOMETRY + _COLOUR,
  'r3gan': OPERATIONS,
}
PERCENTILES = (0.05, 0.3, 0.6, 0.9)


def images(kind: str) -> np.ndarray:
  """Returns two images of a kind of `SHAPES`."""
  return value(f'images {kind}', (2, *SHAPES[kind]))


def probe(kind: str) -> np.ndarray:
  return value(f'probe {kind}', (2, *SHAPES[kind]))


def _reference(folder: str):
  """Returns the module of the pipe, which computes in float64."""
  import torch

  sys.path.insert(0, folder)
  torch.set_default_dtype(torch.float64)
  for name in ('dnnlib', 'torch_utils.persistence', 'torch_utils.custom_ops'):
    sys.modules[name] = types.ModuleType(name)
  sys.modules['dnnlib'].EasyDict = dict
  package = importlib.import_module('torch_utils')
  package.persistence = sys.modules['torch_utils.persistence']
  package.persistence.persistent_class = lambda kind: kind
  package.custom_ops = sys.modules['torch_utils.custom_ops']
  if importlib.util.find_spec('scipy') is None:  # for filters that are unused
    signal = types.ModuleType('scipy.signal')
    signal.convolve = lambda x, y: np.stack(
      [np.convolve(row, y[0]) for row in x]
    )
    sys.modules['scipy'] = types.ModuleType('scipy')
    sys.modules['scipy'].signal = sys.modules['scipy.signal'] = signal
  module = importlib.import_module('training.augment')

  class Torch:  # Percentiles are cast to float32.
    float32 = torch.float64

    def __getattr__(self, name):
      return getattr(torch, name)

  module.torch = Torch()
  return module


def main(folder: str) -> None:
  """Writes the arrays of all operations and pipes."""
  import torch

  augment, arrays = _reference(folder), {}
  cases = {name: (name,) for name in OPERATIONS} | PIPES
  for kind, (*_, channels) in SHAPES.items():
    x = torch.from_numpy(images(kind)).permute(0, 3, 1, 2).requires_grad_()
    weights = torch.from_numpy(probe(kind)).permute(0, 3, 1, 2)
    for name, operations in cases.items():
      if channels == 1 and name in ('hue', 'saturation'):
        continue
      for percentile in PERCENTILES:
        pipe = augment.AugmentPipe(**dict.fromkeys(operations, 1))
        y = pipe(x, debug_percentile=percentile)
        key = f'{kind} {name} {percentile}'
        keep = lambda y: y.detach().permute(0, 2, 3, 1).numpy().astype('f')
        is_pipe = name in PIPES
        arrays[key] = keep(y) if is_pipe else keep(y[:1])
        if is_pipe:
          (slope,) = torch.autograd.grad((y * weights).sum(), x)
          arrays[f'{key} gradient'] = keep(slope)
  path = FOLDER / 'ada.npz'
  np.savez_compressed(path, **arrays)
  print(path.name, path.stat().st_size, 'bytes')


if __name__ == '__main__':
  main(sys.argv[1])
