r"""Variational autoencoders on MNIST (Kingma and Welling 2013).

  python -m jaxgan.main --config=configs/vae_mnist.py --workdir=runs/vae_mnist

One field:    --config.beta=4 --config.latent_size=10
A variant:    --config=configs/vae_mnist.py:manifold

Variants: `tutorial`, `convolutional`, `manifold` (two latents), `iwae`. With
two latents `samples/` also shows the manifold, figure 4 of the paper.

On the embedded digits (4,500 to train on, 500 held out), two CPU cores that had
other work too; nats an image, the bound is of 50 samples:

  variant   rounds  minutes  held-out -ELBO  held-out bound
  default    3,000     1.7           109.2           104.5
  tutorial   4,690     1.5           110.4           105.3
  manifold   3,000     1.6           152.5           148.0
  iwae       2,000     3.1           111.9           104.9

Samples of the default are digits, about one in four is broken. The manifold has
all ten: from ones on the left to noughts on the right, between them from above
nines, fours, fives, eights and threes, sixes and twos, with sevens in a corner.
With a learning rate of 1e-3 the bounds are worse by 1.5 (default), 4 (manifold)
and 3 nats (iwae). `convolutional` has not been trained to its end.
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
}


def get_config(variant: str = ''):
  config = config_lib.defaults()
  config.method = 'vae'
  config.num_steps = 3_000
  config.batch_size = 128
  config.eval_every = 500

  config.latent_size = 20
  config.likelihood = 'bernoulli'  # a key of vae.LIKELIHOODS
  config.binarised = False  # pixels are drawn as 0 or 1, by their grey value
  config.decoder_deviation = 0.1  # of pixels in [0, 1]; for 'gaussian'
  config.beta = 1.0  # weight of the divergence
  config.importance_samples = 0  # of the bound; 0 is the ELBO
  config.held_out_samples = 50  # of the bound on held-out images; 0 is off
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
  config.ema_halflife = 0.0  # images; 0 is no average
  config.ema_rampup = 0.05  # of the images seen
  config.steps_per_call = 50

  config_lib.vary(config, VARIANTS, variant)
  return config
