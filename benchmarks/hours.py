r"""Hours of the `paper` variants on accelerators, by arithmetic alone.

  python -m benchmarks.hours

Operations of a round are counted in the program before compilation, for a GPU,
with other images of the same shape. Devices are taken to reach `SHARE` of their
peak. Products of float32 without TensorFloat-32 take six products of bfloat16
on a TPU.
"""

import pathlib
import tempfile

from absl import flags

from benchmarks import cli, experiment
from jaxgan.training import operations
from jaxgan.training.run import Training

_CONFIGS = flags.DEFINE_list(
  'configs',
  [
    *('sngan_cifar10:paper', 'sngan_cifar10:paper_64'),
    *('sngan_cifar10:paper_128', 'sagan_cifar10:paper'),
    *('biggan_cifar10:paper', 'biggan_cifar10:ajbrock'),
    *('stylegan2_cifar10:paper', 'stylegan2_faces:paper'),
    *('stylegan2_faces:f256', 'r3gan_cifar10:paper', 'r3gan_faces:paper'),
  ],
  'NAME:VARIANT of games on images.',
)

SHARE = 0.4
# Peak TFLOP/s by `config.precision`, from the vendors' data sheets.
PEAKS = {
  'one H100 (SXM)': {'f32': 67.0, 'bf16': 989.0},
  'TPU v5e-8': {'f32': 8 * 197.0 / 6, 'bf16': 8 * 197.0},
}


def cost(name: str) -> tuple[object, float]:
  """Returns a config, and the operations of one of its rounds."""
  config = experiment.load(name)
  side = config.data.image_size or 32
  config.data.update(
    source='procedural', name='street_numbers', image_size=side
  )
  config.dry_run = True  # Networks may be larger than this machine.
  with tempfile.TemporaryDirectory() as folder:
    run = Training(config, pathlib.Path(folder))
    run.build()
    return config, operations.count(run, 'cuda')


def hours(flops: float, rounds: int, peak: float) -> float:
  """Returns hours of training at `SHARE` of a peak in TFLOP/s."""
  return flops * rounds / (SHARE * peak * 1e12) / 3_600


def main(argv) -> None:
  del argv
  head = ['config', 'precision', 'batch', 'rounds', 'operations a round']
  head += [f'hours, {device}' for device in PEAKS]
  print(f'| {" | ".join(head)} |')
  print('| --- ' * len(head) + '|')
  for name in _CONFIGS.value:
    config, flops = cost(name)
    cells = [name, config.precision, f'{config.batch_size}']
    cells += [f'{config.num_steps:,}', f'{operations.short(flops)}FLOP']
    for peaks in PEAKS.values():
      peak = peaks[config.precision]
      cells.append(f'{hours(flops, config.num_steps, peak):.3g}')
    print(f'| {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
  cli.run(main)
