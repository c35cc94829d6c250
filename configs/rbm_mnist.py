"""A restricted Boltzmann machine on MNIST (Hinton 2002; Tieleman 2008).

https://doi.org/10.1162/089976602760128018

Command: python -m jaxgan.main --config=configs/rbm_mnist.py
Time: 1 minute of one core.
Score: 98.15 nats on the 10,000 official test digits, with an estimate of Z that
is slightly too low; independent pixels have 206.

On 3 x 3 bars and stripes, `python -m benchmarks.bars` sums Z: 2.72 nats after
5,000 rounds of CD-10, where 2.64 is best and a broken machine has above 3.

Variants: `cd` (contrastive divergence without persistent chains).
"""

from jaxgan import config as config_lib
from jaxgan import presets, rbm
from jaxgan.config import fields


def _default(config):
  """Persistent chains."""


def _cd(config):
  """CD-1: chains start from the data."""
  config.persistent = False


VARIANTS = {'': _default, 'cd': _cd}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(fields.build(rbm.FIELDS))
  config.method = 'rbm'
  config.num_steps = 10_000
  config.batch_size = 100
  config.ema_halflife = 10_000.0
  config.eval_every = 1_000
  config.steps_per_call = 50
  config.machine = dict(
    name='boltzmann.Restricted',
    width=256,
    optimizer=presets.optimizer(
      name='sgd',
      learning_rate=0.05,
      b1=0.0,
      schedule='linear',
      schedule_images=config.num_steps * config.batch_size,
    ),
  )
  config_lib.vary(config, VARIANTS, variant)
  return config
