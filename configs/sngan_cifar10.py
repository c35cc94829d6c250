"""SNGAN on CIFAR-10: residual networks, spectral norm (Miyato et al. 2018).

https://arxiv.org/abs/1802.05957

Command: python -m jaxgan.main --config=configs/sngan_cifar10.py
Time: not measured to the end.
Score: not measured.

Variants: `64`; `paper`, `paper_64`, `paper_128` (networks and recipe of the
paper). With labels, a projection discriminator: --config.conditional=True. For
a folder instead of TFDS: --config.data.source=folder --config.data.path=PATH
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Narrow networks, batches of 32, and one discriminator update a round."""
  config.num_steps = 10_000
  presets.resnet_narrow(config)
  config.generator.optimizer.learning_rate = 5e-4
  config.discriminator.optimizer.learning_rate = 1e-3


def _64(config):
  """One more block in each network, at 64 x 64 pixels."""
  _default(config)
  config.data.image_size = 64
  presets.resnet_narrow(config, blocks=5)


def _paper(config):
  """Appendix B: five discriminator updates, a rate that falls to zero.

  The generator's batches have 64 examples here and 128 in the paper.
  """
  config.num_steps = 50_000
  config.batch_size = 64
  config.discriminator_steps = 5
  for player in ('generator', 'discriminator'):
    config[player].optimizer.update(
      schedule='linear', schedule_images=config.num_steps * config.batch_size
    )


def _paper_64(config):
  """Networks of Lee and Town 2020, https://arxiv.org/abs/2005.02494."""
  _paper(config)
  config.data.image_size = 64
  config.generator.widths = (1024, 512, 256, 128, 64)
  config.discriminator.update(
    widths=(64, 128, 256, 512, 1024), strides=(2,) * 5, wide=False
  )


def _paper_128(config):
  """Appendix B.4, for ImageNet."""
  _paper(config)
  config.data.image_size = 128
  config.generator.widths = (1024, 1024, 512, 256, 128, 64)
  config.discriminator.update(
    widths=(64, 128, 256, 512, 1024, 1024), strides=(2,) * 5 + (1,), wide=False
  )


VARIANTS = {
  '': _default,
  '64': _64,
  'paper': _paper,
  'paper_64': _paper_64,
  'paper_128': _paper_128,
}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.data.name = 'cifar10'
  config.loss = 'hinge'
  config.latent_size = 128
  config.update(presets.resnet())
  config.sample_every = config.checkpoint_every = 1_000
  config_lib.vary(config, VARIANTS, variant)
  return config
