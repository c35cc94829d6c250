"""VQ-VAE on MNIST: digits as 7 x 7 codes (van den Oord et al. 2017).

https://arxiv.org/abs/1711.00937

Command: python -m jaxgan.main --config=configs/vqvae_mnist.py
Time: 2.5 minutes on one busy core.
Score: held-out square error 0.034, perplexity 16 of 32 codes, on MNIST.
"""

from jaxgan import config as config_lib
from jaxgan import presets, vqvae
from jaxgan.config import fields


def _default(config):
  """32 codes, and a prior that is a small transformer."""


VARIANTS = {'': _default}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(fields.build(vqvae.FIELDS))
  config.method = 'vqvae'
  config.num_steps = 2_000
  config.batch_size = 32
  config.codes, config.code_channels = 32, 8
  networks = dict(
    encoder=dict(name='vq.Encoder', widths=(16, 32), blocks=1),
    codebook=dict(name='vq.Codebook'),
    decoder=dict(name='autoencoder.ConvDecoder', widths=(32, 16)),
    prior=dict(name='vq.Prior', width=64, blocks=2, heads=4),
  )
  images = config.num_steps * config.batch_size
  for name, settings in networks.items():
    rule = presets.optimizer(
      learning_rate=2e-3, b1=0.9, schedule='cosine', schedule_images=images
    )
    config[name] = dict(**settings, optimizer=rule)
  config.ema_halflife = 10_000.0
  config.ema_rampup = 0.05
  config.sample_every = config.eval_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
