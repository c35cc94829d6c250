r"""A classifier of digits from 100 labels (Salimans et al. 2016).

  python -m jaxgan.main --config=configs/semi_supervised_mnist.py \
    --workdir=runs/semi

https://arxiv.org/abs/1606.03498, section 5: the discriminator is the
classifier, and the generator matches its features. Watch
`discriminator/held_out_error`.

On the embedded digits (4,500, of which 100 are labelled) the held-out error was
20.8, 15.2, 12.2 and 8.0 % after 500, 1,500, 3,500 and all 10,000 rounds, of
which the last 6,400 took 5 min 46 s on two CPU cores. Samples are speckled
strokes, a third of them digits: matching features teaches the classifier, and
not how to draw.
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
  config.data.labelled = 100  # examples whose labels are known
  config.data.labelled_seed = 0  # which these are
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
