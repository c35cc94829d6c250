"""A Helmholtz machine on MNIST, trained by wake-sleep (Hinton et al. 1995).

https://doi.org/10.1126/science.7761831

Command: python -m jaxgan.main --config=configs/helmholtz_mnist.py
Time: 41 seconds of one core, on the embedded digits.
Score: held-out bound of 50 samples 114.8 nats; independent pixels have 207.6.

On 3 x 3 bars and stripes, `python -m benchmarks.bars` sums all states.
"""

from jaxgan import config as config_lib
from jaxgan import helmholtz, presets
from jaxgan.config import fields


def _default(config):
  """Two hidden layers."""


VARIANTS = {'': _default}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(fields.build(helmholtz.FIELDS))
  config.method = 'helmholtz'
  config.num_steps = 10_000
  config.batch_size = 100
  config.ema_halflife = 10_000.0
  config.eval_every = 500
  config.steps_per_call = 50
  for name in ('generative', 'recognition'):
    config[name] = dict(
      name=f'boltzmann.{name.capitalize()}',
      widths=(200, 100),  # upwards
      optimizer=presets.optimizer(
        learning_rate=2e-3,
        b1=0.9,
        schedule='cosine',
        schedule_images=config.num_steps * config.batch_size,
      ),
    )
  config_lib.vary(config, VARIANTS, variant)
  return config
