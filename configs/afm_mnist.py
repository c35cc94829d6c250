"""An adversarial flow model on MNIST: transformers and optimal transport.

Lin et al. 2025, https://arxiv.org/abs/2511.22475

Command: python -m jaxgan.main --config=configs/afm_mnist.py
Time: 40 minutes on one core.
Score: Frechet distance 23.7 on MNIST (training digits 0.247), after all rounds.

Variants: `any` (G(x_s, s, t) between any two times, two steps for a sample);
`paper` (AFM-B/2 with the paper's recipe, for --config.dry_run=True). With
labels: --config.conditional=True
"""

from jaxgan import adversarial_flow, presets
from jaxgan import config as config_lib
from jaxgan.config import fields
from jaxgan.models import dit


def _default(config):
  """Four blocks of width 128 in each network, and batches of 32."""
  config.num_steps = 3_600
  config.batch_size = 32
  config.ema_halflife = 10_000.0
  images = config.num_steps * config.batch_size
  config.schedules = f'transport=cosine:0.2->0.005:{images // 3}'


def _any(config):
  """Images of any time to images of any earlier time."""
  _default(config)
  config.any_step = True
  config.sampling_steps = 2
  config.generator.predicts = 'velocity'
  config.schedules = config.schedules.replace('0.2->', '0.25->')


def _paper(config):
  """The networks for latents of ImageNet; here, channels of grey digits.

  The schedule has 100 epochs of 1.28 million images, 500,000 rounds.
  """
  config.num_steps = 1_000_000
  config.batch_size = 256
  config.schedules = 'transport=cosine:0.2->0.005:1.28e8:0.001'
  config.conditional = True
  # 0.9999 per round of 256 images.
  config.update(ema_halflife=1_774_300.0, ema_rampup=0.0)
  config.precision = 'tf32'
  depth, width, heads = dit.SIZES['B']
  for network in (config.generator, config.discriminator):
    network.update(depth=depth, width=width, heads=heads, patch=2)
    network.recompute = True
    network.optimizer.learning_rate = 1e-4


VARIANTS = {'': _default, 'any': _any, 'paper': _paper}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.game())
  config.method = 'adversarial_flow'
  config.update(fields.build(adversarial_flow.FIELDS))
  config.latent_size = 28 * 28
  config.loss = 'relativistic_pairing'
  config.penalties.update(r1=0.25, r2=0.25)
  config.penalties_difference = 0.01
  config.penalties_stride = 4
  config.logit_centring = 0.01
  config.gradient_average = 0.9
  for player in ('generator', 'discriminator'):
    config[player] = dict(
      name=f'dit.{player.title()}',
      depth=4,
      width=128,
      heads=4,
      patch=4,
      normed=False,  # queries and keys; bfloat16 needs norms
      recompute=False,
      spectral_norm=False,
      optimizer=presets.optimizer(
        learning_rate=5e-4, b1=0.0, b2=0.9, weight_decay=0.01
      ),
    )
  config.generator.predicts = 'image'
  config.sample_every = config.checkpoint_every = 200
  config_lib.vary(config, VARIANTS, variant)
  return config
