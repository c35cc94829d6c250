"""Classifier of digits from 100 labels (Salimans et al. 2016).

https://arxiv.org/abs/1606.03498, section 5

Command: python -m jaxgan.main --config=configs/semi_supervised_mnist.py
Time: 9 minutes on two CPU cores, on the embedded digits.
Score: held-out error 8.0 % (`discriminator/held_out_error`).

The discriminator is the classifier, and the generator matches its features.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """The paper's widths and noise, without its weight normalisation."""


VARIANTS = {'': _default}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.num_steps = 10_000
  config.batch_size = 100
  config.eval_every = 500
  config.update(presets.few_labels())
  config.labelled = 1.0
  config.latent = 'uniform'
  config.adversarial = 0.0
  config.feature_matching = 1.0
  config.update(presets.mlp())
  config.generator.widths = (500, 500)
  config.discriminator.update(
    widths=(1000, 500, 250, 250, 250),
    input_noise=0.3,
    hidden_noise=0.5,
    conditioning='classes',
  )
  for player in ('generator', 'discriminator'):
    config[player].optimizer.learning_rate = 3e-4
  config.steps_per_call = 10
  config_lib.vary(config, VARIANTS, variant)
  return config
