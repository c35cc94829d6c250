"""GAT on MNIST: transformers, whose images of several depths are noised.

Hyun et al. 2025, https://arxiv.org/abs/2509.24935

Command: python -m jaxgan.main --config=configs/gat_mnist.py
Time: not measured to the end.
Score: not measured.

Variants: `paper` (GAT-B/2 with the paper's recipe) and `paper_xl` (GAT-XL/2,
its state split over devices), for --config.dry_run=True.
With labels: --config.conditional=True
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """Four blocks of width 128 in each network, and batches of 32."""
  config.num_steps = 6_000
  config.batch_size = 32
  config.ema_halflife = 10_000.0
  config.penalties_stride = 4


def _paper(config):
  """The networks for latents of ImageNet; here, channels of grey digits."""
  presets.transformer_paper(config, 'gat', 'B', 'B')


def _paper_xl(config):
  """The largest networks of the paper, GAT-XL/2."""
  presets.transformer_paper(config, 'gat', 'XL', 'XL')
  config.shard_parameters = True


VARIANTS = {'': _default, 'paper': _paper, 'paper_xl': _paper_xl}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.update(presets.gat())
  config.sample_every = config.checkpoint_every = 500
  config_lib.vary(config, VARIANTS, variant)
  return config
