"""BEGAN on MNIST: boundary equilibrium (Berthelot et al. 2017).

https://arxiv.org/abs/1703.10717

Command: python -m jaxgan.main --config=configs/began_mnist.py
Time: not measured; a round costs that of configs/ebgan_mnist.py.
Score: Frechet distance of random features 0.09 after 600 rounds on the
  embedded digits. Without learning it is 22; below 0.5 works.

Variants: `paper`, with the ratio gamma and the step of k of the paper.
"""

from jaxgan import config as config_lib
from jaxgan import energy_gan, presets
from jaxgan.config import fields


def _default(config):
  """A larger gamma than the paper's, larger steps of k, and pulling away.

  With gamma=0.5 all samples were ones after 2,000 rounds: reconstructions of
  ones have the smallest error, and half of the mean energy is theirs.
  """
  config.gamma, config.balance = 1.0, 0.02
  config.pulling_away = 0.1


def _paper(config):
  """The ratio and the step of k of the paper."""
  config.num_steps = 60_000


VARIANTS = {'': _default, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.dcgan())
  config.update(fields.build(energy_gan.FIELDS))
  presets.energy(config)
  config.discriminator.distance = 'l1'
  config.latent_size = 64
  config.energy = 'began'
  config.latent = 'uniform'
  config_lib.vary(config, VARIANTS, variant)
  return config
