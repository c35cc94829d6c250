"""Variational autoencoders on MNIST (Kingma and Welling 2013).

https://arxiv.org/abs/1312.6114

Command: python -m jaxgan.main --config=configs/vae_mnist.py
Time: 1.7 minutes on two busy CPU cores, on the embedded digits.
Score: held-out negative ELBO 109.2 nats, bound of 50 samples 104.5 nats.

Variants: `tutorial`, `convolutional`, `manifold` (two latents), `iwae`,
`conditional` (a column of each class in the samples; bound of 50 samples 101.4
nats), `denoising` (111.4 nats with noisy inputs).
"""

from jaxgan import config as config_lib
from jaxgan import presets


def _default(config):
  """The tutorial's VAE with a second hidden layer, a schedule, an average."""
  config.encoder.widths = (400, 400)
  config.decoder.widths = (400, 400)
  _anneal(config)


def _tutorial(config):
  """784-400-20-400-784, as tutorials made it known: ReLU and Adam.

  The paper has 500 units, tanh and Adagrad. 10 passes over 60,000 images.
  """
  config.num_steps = 4_690
  config.batch_size = 128


def _convolutional(config):
  """Strided convolutions down, nearest neighbours and convolutions up."""
  config.encoder = dict(
    name='autoencoder.ConvEncoder',
    widths=(32, 64),
    pooled=False,  # strides
    optimizer=config.encoder.optimizer,
  )
  config.decoder = dict(
    name='autoencoder.ConvDecoder',
    widths=(32, 16),
    optimizer=config.decoder.optimizer,
  )
  config.num_steps = 800
  _anneal(config)


def _manifold(config):
  """Two latents: the picture of the manifold, figure 4 of the paper."""
  _default(config)
  config.latent_size = 2


def _iwae(config):
  """The importance-weighted bound (Burda et al. 2015) of the same networks."""
  config.num_steps = 2_000
  _default(config)
  config.importance_samples = 5


def _conditional(config):
  """Both networks take the label (Sohn et al. 2015)."""
  _default(config)
  config.conditional = True


def _denoising(config):
  """The encoder sees noisy pixels (Im et al. 2015)."""
  _default(config)
  config.corruption = 0.25


def _anneal(config):
  config.ema_halflife = 10_000.0
  for network in (config.encoder, config.decoder):
    network.optimizer.learning_rate = 2e-3
    network.optimizer.schedule = 'cosine'
    network.optimizer.schedule_images = config.num_steps * config.batch_size


VARIANTS = {
  '': _default,
  'tutorial': _tutorial,
  'convolutional': _convolutional,
  'manifold': _manifold,
  'iwae': _iwae,
  'conditional': _conditional,
  'denoising': _denoising,
}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.update(presets.vae())
  config.num_steps = 3_000
  config.batch_size = 128
  config.eval_every = 500

  config.encoder = dict(
    name='autoencoder.DenseEncoder',
    widths=(400,),
    rectified=False,
    activation='relu',  # a key of autoencoder.ACTIVATIONS
    optimizer=presets.optimizer(learning_rate=1e-3, b1=0.9),
  )
  config.decoder = dict(
    name='autoencoder.DenseDecoder',
    widths=(400,),
    activation='relu',
    optimizer=presets.optimizer(learning_rate=1e-3, b1=0.9),
  )
  config.steps_per_call = 50

  config_lib.vary(config, VARIANTS, variant)
  return config
