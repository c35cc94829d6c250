r"""Log-likelihood of VAE and IWAE on MNIST, by importance sampling.

  python -m benchmarks.likelihood --source=tfds --data_dir=PATH
  python -m benchmarks.likelihood --source=tfds --data_dir=PATH \
      --rounds=400000 --batch_size=100 --images=10000 --importance_samples=5000

The first command is reduced, for two cores: few rounds, 1,000 test images and
1,000 samples of the bound, which lies below the bound of 5,000. The second
needs an accelerator. It has the rounds of the re-implementation in the table.
Burda et al. 2015 (https://arxiv.org/abs/1509.00519) take 3,280 passes in
batches of 20.

Networks are those of their section 5, with one stochastic layer: 50 latents and
two layers of 200 tanh units on either side. Training images are binarised at
every draw, test images once. VAE k is the ELBO with the divergence in closed
form (k = 1). IWAE k is the bound of k samples. Adam's rate falls from 1e-3 to 0
as a cosine; theirs falls in eight stages. Prints nats per image, -log p(x),
with mean and standard error over test images. Rows of `PUBLISHED` use all
10,000 test images and 5,000 samples.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks import cli, experiment
from jaxgan import data
from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import likelihood as likelihood_lib
from jaxgan.steps import vae
from jaxgan.steps._encoder_decoder import averaged

_K = cli.define_integers(
  'k', [1, 5, 50], 'Numbers of samples of the trained bounds.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 5_000, 'Rounds per run.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 20, 'Images per round.')
_IMAGES = flags.DEFINE_integer('images', 1_000, 'Number of scored test images.')
_SAMPLES = flags.DEFINE_integer(
  'importance_samples', 1_000, 'Samples of the printed bound.'
)
_SOURCE = flags.DEFINE_string('source', 'auto', 'Value of config.data.source.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'Value of config.data.data_dir.'
)

CHUNK = 50  # importance samples at a time
BLOCK = 200  # images at a time

# k -> nats. 'published' is Burda et al. 2015, table 1; 're-implemented' is
# https://github.com/abdulfatir/IWAE-tensorflow.
PUBLISHED = {
  'IWAE, published': {1: 86.8, 50: 84.8},
  'IWAE, re-implemented': {1: 90.26, 5: 88.49, 50: 87.34},
}


def _config(k: int):
  config = experiment.load('vae_mnist:iwae' if k > 1 else 'vae_mnist')
  config.data.update(source=_SOURCE.value, data_dir=_DATA_DIR.value)
  config.data.source = data.resolve(config.data)
  config.update(
    latent_size=50,
    binarised=True,
    importance_samples=k if k > 1 else 0,
    num_steps=_ROUNDS.value,
    batch_size=_BATCH_SIZE.value,
    ema_halflife=0.0,
  )
  for network in (config.encoder, config.decoder):
    network.update(widths=(200, 200), activation='tanh')
    network.optimizer.update(
      learning_rate=1e-3,
      schedule_images=_ROUNDS.value * _BATCH_SIZE.value,
    )
  return config


def nats(run, images: np.ndarray) -> np.ndarray:
  """Returns the bound [N] of log p(x) for uint8 images [N, ...]."""
  method, state = run.method, run.state
  chunks = -(-_SAMPLES.value // CHUNK)

  @jax.jit
  def score(images, key):
    pixel_key, key = jax.random.split(key)
    pixels = vae.observe(method, pixels_lib.to_float(images), pixel_key)
    code = averaged(method, state, 'encoder', pixels)

    def log_weights(key):
      shape = (len(pixels), CHUNK, method.latent_size)
      draw = jax.random.normal(key, shape)
      decode = lambda z: averaged(method, state, 'decoder', z)
      return vae.terms(method, code, decode, pixels, draw)[-1]

    return likelihood_lib.estimate(log_weights, key, chunks)

  bounds = [
    score(images[first : first + BLOCK], jax.random.key(first))
    for first in range(0, len(images), BLOCK)
  ]
  return np.asarray(jnp.concatenate(bounds))


def main(argv) -> None:
  del argv
  counts = _K.value
  config = _config(1)
  test = data.load(config.data, 'test')
  images = test.evenly(_IMAGES.value)['image']  # The last digits are harder.
  samples = -(-_SAMPLES.value // CHUNK) * CHUNK
  print(
    f'{_ROUNDS.value:,} rounds of {_BATCH_SIZE.value}, data: '
    f'{config.data.source}, {len(images):,} test images, {samples:,} samples, '
    f'{jax.devices()[0].device_kind}, jax {jax.__version__}\n'
  )
  print('| | k | nats | seconds of training | of scoring |')
  print('| --- ' * 5 + '|')
  for name, row in PUBLISHED.items():
    for k, value in row.items():
      print(f'| {name} | {k} | {value} | | |')
  for k in counts:
    run, seconds = experiment.train(_config(k))
    start = time.perf_counter()
    values = -nats(run, images)
    scored = time.perf_counter() - start
    error = values.std() / len(values) ** 0.5
    print(
      f'| {"IWAE" if k > 1 else "VAE"}, here | {k} | {values.mean():.2f} ± '
      f'{error:.2f} | {seconds:.0f} | {scored:.0f} |',
      flush=True,
    )


if __name__ == '__main__':
  cli.run(main)
