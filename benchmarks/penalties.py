r"""Seconds and memory of exact penalties and of finite differences.

  python -m benchmarks.penalties

R1 and R2 are exact (a gradient of a gradient), or finite differences of every
example or of every fourth one (`penalties_difference`, `penalties_stride`). A
row is one update of the discriminator of an experiment on random images. It has
seconds of processor time, and the temporary memory of the compiled program. The
row without penalties tells what is left.
"""

import functools
import time

import jax
from absl import flags

from benchmarks import cli, experiment
from jaxgan import errors, steps
from jaxgan.data import Spec

_CONFIGS = flags.DEFINE_list(
  'configs',
  [
    'dcgan_mnist',
    'r3gan_mnist',
    'sngan_cifar10',
    'stylegan2_cifar10',
    'gat_mnist',
  ],
  'Names of configs of method=gan.',
)
_BATCH = flags.DEFINE_integer('batch_size', 32, 'Images of an update.')
_CALLS = flags.DEFINE_integer('calls', 5, 'Timed calls; the least one counts.')

# Row -> fields.
WEIGHTS = {'penalties.r1': 0.05, 'penalties.r2': 0.05}
NONE = {'penalties.r1': 0.0, 'penalties.r2': 0.0, 'penalties_difference': 0.0}
ROWS = {
  'none': NONE,
  'exact': NONE | WEIGHTS,
  'difference': WEIGHTS | {'penalties_difference': 0.01},
  'difference, every 4th': WEIGHTS
  | {'penalties_difference': 0.01, 'penalties_stride': 4},
}


def method_of(config, shape: tuple[int, ...]):
  """Returns the algorithm and the method of a config, without lazy steps."""
  config = config.copy_and_resolve_references()
  plain = {'penalties_every': 1, 'path_length': 0.0, 'penalties_stride': 1}
  config.update_from_flattened_dict(plain | {'batch_size': _BATCH.value})
  config.schedules = ''

  def build(fields):
    return steps.find('gan').from_config(
      experiment.changed(config, fields), Spec(shape)
    )

  return build


def measure(method, shape: tuple[int, ...]) -> tuple[float, float]:
  """Returns seconds and MB of an update of the discriminator."""
  gan = steps.find('gan')
  key = jax.random.key(0)
  state = jax.jit(functools.partial(gan.init, method))(key)
  images = jax.random.normal(key, (_BATCH.value, *shape))
  z = method.latents.sample(key, _BATCH.value)
  step = jax.jit(functools.partial(gan.discriminator_step, method))
  inputs = (state, {'image': images}, z, key)
  program = step.lower(*inputs).compile()
  jax.block_until_ready(program(*inputs))
  seconds = []
  for _ in range(_CALLS.value):
    start = time.process_time()
    jax.block_until_ready(program(*inputs))
    seconds.append(time.process_time() - start)
  return min(seconds), program.memory_analysis().temp_size_in_bytes / 1e6


def main(argv) -> None:
  del argv
  device = jax.devices()[0].device_kind
  print(f'{device}, batch {_BATCH.value}, jax {jax.__version__}\n')
  print('| network | penalties | processor seconds | temporary MB |')
  print('| --- | --- | --- | --- |')
  for name in _CONFIGS.value:
    config = experiment.load(name)
    if config.method != 'gan':
      raise errors.UserError(
        f'--configs: {name!r} has method={config.method!r}. Choose configs of '
        "method='gan'."
      )
    shape = (28, 28, 1) if name.endswith('mnist') else (32, 32, 3)
    build = method_of(config, shape)
    for row, fields in ROWS.items():
      seconds, megabytes = measure(build(fields), shape)
      print(f'| {name} | {row} | {seconds:.3f} | {megabytes:.0f} |', flush=True)


if __name__ == '__main__':
  cli.run(main)
