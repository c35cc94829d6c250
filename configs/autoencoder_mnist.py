"""Autoencoders on MNIST, plain and denoising.

Command: python -m jaxgan.main --config=configs/autoencoder_mnist.py
Time: 2.6 minutes on two busy CPU cores, on the embedded digits.
Score: held-out loss 0.0896, 21.7 dB.

Variants: `tutorial` and `simple` (the same), `convolutional`, `denoising`.
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """The code of the tutorial, 32 numbers, with deeper networks around it.

  The code is not rectified, so that no number of it can die.
  """
  config.num_steps = 3_000
  config.encoder.update(widths=(512, 256), rectified=False)
  config.decoder.update(widths=(256, 512))
  for network in (config.encoder, config.decoder):
    network.optimizer.schedule = 'cosine'
    network.optimizer.schedule_images = config.num_steps * config.batch_size


def _simple(config):
  """784-32-784, one rectified layer, 20 passes over 60,000 images."""
  del config


def _convolutional(config):
  """A code of 4 x 4 x 8, 20 passes over 60,000 images."""
  _convolve(config, (16, 8, 8), (8, 8, 16))


def _denoising(config):
  """A code of 4 x 4 x 16 of noisy images, 100 passes over 60,000 images."""
  config.num_steps = 30_000
  config.corruption = 0.5
  _convolve(config, (32, 32, 16), (16, 32, 32))


def _convolve(config, down, up):
  config.encoder = dict(
    name='autoencoder.ConvEncoder',
    widths=down,
    code_size=0,  # 0: the last layer is the code
    pooled=True,  # or strides
    optimizer=config.encoder.optimizer,
  )
  config.decoder = dict(
    name='autoencoder.ConvDecoder',
    widths=up,
    optimizer=config.decoder.optimizer,
  )


VARIANTS = {
  '': _default,
  'tutorial': _simple,
  'simple': _simple,
  'convolutional': _convolutional,
  'denoising': _denoising,
}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.autoencoder())
  config.num_steps = 6_000
  config.batch_size = 200
  config.eval_every = 500

  config.encoder = dict(
    name='autoencoder.DenseEncoder',
    code_size=32,
    widths=(),
    rectified=True,  # the code
    optimizer=presets.optimizer(learning_rate=1e-3, b1=0.9),
  )
  config.decoder = dict(
    name='autoencoder.DenseDecoder',
    widths=(),
    optimizer=presets.optimizer(learning_rate=1e-3, b1=0.9),
  )
  config.steps_per_call = 50

  config_lib.vary(config, VARIANTS, variant)
  return config
