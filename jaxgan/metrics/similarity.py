"""Similarity of two images: PSNR, errors in holes, SSIM and MS-SSIM.

Images are uint8 or floats in [-1, 1], and are converted to pixels in [0, 1].
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.metrics import check

WINDOW, SIGMA = 11, 1.5
# Constants of luminance (0.01 L)^2 and contrast (0.03 L)^2, with L = 1.
C1, C2 = 0.01**2, 0.03**2
# Weights of the scales, finest first.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def _read(**sets):
  check.paired(**sets)
  return check.pixels(least=1, **sets)


def psnr(real, fake) -> jax.Array:
  """Peak signal-to-noise ratio 10 log10(1 / MSE) of each pair, in decibels.

  Infinite for equal images. O(pixels).

  Args:
    real: images [N, H, W, C].
    fake: images [N, H, W, C].

  Returns:
    [N].

  Raises:
    UserError: for different shapes, wrong ranges, NaN or infinity.
  """
  real, fake = _read(real=real, fake=fake)
  return -10.0 * jnp.log10(jnp.mean((real - fake) ** 2, axis=(1, 2, 3)))


def completion_errors(real, fake, known) -> dict[str, jax.Array]:
  """Mean absolute and mean squared errors inside and outside of holes.

  Args:
    real: images [N, H, W, C].
    fake: completed images [N, H, W, C].
    known: bool [N, H, W, 1], true outside of the holes, as in `masks.Holes`.

  Returns:
    'l1_hole', 'mse_hole', 'l1_known', 'mse_known': [N] in units of [0, 1]. NaN
    for images without such pixels.

  Raises:
    UserError: for different shapes, wrong ranges, NaN or infinity.
  """
  real, fake = _read(real=real, fake=fake)
  known = jnp.asarray(known)
  if known.dtype != bool or known.shape != (*real.shape[:3], 1):
    raise errors.UserError(
      f'known has dtype {known.dtype} and shape {known.shape}. Pass bool '
      f'{(*real.shape[:3], 1)}, true for known pixels.'
    )
  return _completion_errors(real, fake, known)


@jax.jit
def _completion_errors(real, fake, known):
  difference = real - fake

  def mean(error, where):
    where = jnp.broadcast_to(where, error.shape)
    return jnp.mean(error, axis=(1, 2, 3), where=where)

  return {
    f'{kind}_{region}': mean(error, where)
    for region, where in (('hole', ~known), ('known', known))
    for kind, error in (('l1', jnp.abs(difference)), ('mse', difference**2))
  }


def _blur(x):
  """Applies the Gaussian window: [N, H, W, C] to [N, H - 10, W - 10, C]."""
  offset = np.arange(WINDOW) - WINDOW // 2
  window = np.exp(-(offset**2) / (2.0 * SIGMA**2))
  window = window / window.sum()

  def band(size):
    rows = [
      np.pad(window, (i, size - WINDOW - i)) for i in range(size - WINDOW + 1)
    ]
    return jnp.asarray(np.stack(rows), jnp.float32)

  # On CPUs products with band matrices are many times faster than a depthwise
  # convolution.
  return jnp.einsum(
    'ih,nhwc,jw->nijc',
    band(x.shape[1]),
    x,
    band(x.shape[2]),
    precision=jax.lax.Precision.HIGHEST,
  )


def _terms(real, fake):
  """Returns means of SSIM and of its contrast-structure part, [N, C] each."""
  mean_real, mean_fake = _blur(real), _blur(fake)
  product = mean_real * mean_fake
  squares = mean_real**2 + mean_fake**2
  variances = _blur(real**2 + fake**2) - squares
  covariance = _blur(real * fake) - product
  structure = (2.0 * covariance + C2) / (variances + C2)
  luminance = (2.0 * product + C1) / (squares + C1)
  mean = lambda x: jnp.mean(x, axis=(1, 2))
  return mean(luminance * structure), mean(structure)


def _check_side(x):
  side = min(x.shape[1:3])
  if side < WINDOW:
    raise errors.UserError(
      f'images of {x.shape[1]} x {x.shape[2]} pixels are smaller than the '
      f'window of SSIM, {WINDOW} x {WINDOW}. Use larger images, or psnr.'
    )


def ssim(real, fake) -> jax.Array:
  """Structural similarity of each pair, the mean over channels.

  Wang et al. 2004 (https://doi.org/10.1109/TIP.2003.819861), equation 13, with
  a Gaussian window of 11 x 11. In [-1, 1], 1 for equal images. O(pixels).

  Args:
    real: images [N, H, W, C], at least 11 x 11.
    fake: images [N, H, W, C].

  Returns:
    [N].

  Raises:
    UserError: for small images, different shapes, wrong ranges, NaN or
      infinity.
  """
  real, fake = _read(real=real, fake=fake)
  _check_side(real)
  return _ssim(real, fake)


@jax.jit
def _ssim(real, fake):
  return jnp.mean(_terms(real, fake)[0], axis=1)


def num_scales(height: int, width: int) -> int:
  """Number of scales of MS-SSIM, at most five, on which the window fits."""
  side = min(height, width)
  return sum(-(-side // 2**i) >= WINDOW for i in range(len(WEIGHTS)))


def ms_ssim(real, fake) -> jax.Array:
  """Multi-scale structural similarity of each pair, the mean over channels.

  Wang et al. 2003 (https://doi.org/10.1109/ACSSC.2003.1292216), equation 7: a
  weighted geometric mean of the contrast-structure terms of all scales and the
  luminance of the coarsest scale. Each scale halves the image; odd sides repeat
  the last row or column first, as in the authors' code. Negative terms count as
  0. In [0, 1], 1 for equal images. O(pixels).

  Five scales need 161 pixels. Smaller images have fewer scales, whose weights
  are divided by their sum: 28 x 28 has two scales, 64 x 64 three. Compare
  numbers of the same image size only.

  Args:
    real: images [N, H, W, C], at least 11 x 11.
    fake: images [N, H, W, C].

  Returns:
    [N].

  Raises:
    UserError: for small images, different shapes, wrong ranges, NaN or
      infinity.
  """
  real, fake = _read(real=real, fake=fake)
  _check_side(real)
  return _ms_ssim(real, fake)


def _halve(x):
  pads = [(0, side % 2) for side in x.shape[1:3]]
  x = jnp.pad(x, ((0, 0), *pads, (0, 0)), 'edge')
  n, height, width, channels = x.shape
  shape = (n, height // 2, 2, width // 2, 2, channels)
  return jnp.mean(x.reshape(shape), axis=(2, 4))


@jax.jit
def _ms_ssim(real, fake):
  scales = num_scales(*real.shape[1:3])
  weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
  product = 1.0
  for i, weight in enumerate(weights):
    full, structure = _terms(real, fake)
    term = full if i == scales - 1 else structure
    product = product * jnp.maximum(term, 0.0) ** float(weight)
    real, fake = _halve(real), _halve(fake)
  return jnp.mean(product, axis=1)


def self_similarity(images, key, pairs: int = 1000) -> jax.Array:
  """Mean MS-SSIM of random pairs of different images: low is diverse.

  Odena et al. 2017 (https://arxiv.org/abs/1610.09585), section 4.2, who draw
  100 pairs within each class. Print the value of real images beside the score.

  Args:
    images: [N, H, W, C], at least 11 x 11.
    key: random key; equal keys give equal pairs.
    pairs: number of pairs.

  Returns:
    A scalar in [0, 1].

  Raises:
    UserError: for small images, fewer than two images, wrong ranges, NaN or
      infinity.
  """
  (images,) = check.pixels(images=images)
  _check_side(images)
  check.at_least('pairs', pairs, 1)
  return _self_similarity(images, key, pairs)


@functools.partial(jax.jit, static_argnames='pairs')
def _self_similarity(images, key, pairs):
  num = len(images)
  first_key, step_key = jax.random.split(key)
  first = jax.random.randint(first_key, (pairs,), 0, num)
  second = (first + jax.random.randint(step_key, (pairs,), 1, num)) % num
  of_pair = lambda pair: _ms_ssim(images[pair[0]][None], images[pair[1]][None])[
    0
  ]
  # In batches: all pairs at once would need many times the memory of `images`.
  return jnp.mean(jax.lax.map(of_pair, (first, second), batch_size=64))
