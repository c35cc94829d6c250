"""Features of a random convolutional network, for data of any kind.

Networks trained on photographs see little in digits or sprites, and a trained
classifier needs labels. Naeem et al. 2020 (https://arxiv.org/abs/2002.09797,
section 4.2) therefore compute scores from VGG16 with random weights as well.
This network is smaller and follows VGG (Simonyan and Zisserman 2014,
https://arxiv.org/abs/1409.1556): blocks of two 3 x 3 convolutions with ReLU,
and average pools between them. Features are the means over pixels after each
block, which see details, strokes and shapes.

Weights are normal with the variance 2 / fan-in of He et al. 2015
(https://arxiv.org/abs/1502.01852, equation 10), so that activations neither
grow nor vanish. There are no biases: a feature is proportional to contrast.
Few features suffice for small sets of images, because a covariance needs more
rows than columns.
"""

import functools
import itertools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.core import pixels as pixels_lib
from jaxgan.metrics import batches

WIDTHS = (32, 64, 128)  # channels of the blocks
CONVOLUTIONS = 2  # of a block
SIDE = 3  # of a kernel in pixels
MOST_SEED = 2**32 - 1


@functools.cache
def kernels(seed: int, channels: int) -> tuple[np.ndarray, ...]:
  """Draws the kernels [3, 3, in, out] of all convolutions.

  Args:
    seed: selects the network, in 0..2^32 - 1.
    channels: channels of the images.
  """
  widths = (channels, *(w for w in WIDTHS for _ in range(CONVOLUTIONS)))
  drawn = []
  for layer, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
    # RandomState draws the same numbers with every version of NumPy. A layer
    # has its own, because the first one depends on the number of channels.
    rng = np.random.RandomState([seed, layer])
    kernel = rng.standard_normal((SIDE, SIDE, inputs, outputs))
    # Images are no result of a ReLU, which halves the second moment.
    gain = 2.0 if layer else 1.0
    kernel *= np.sqrt(gain / (SIDE * SIDE * inputs))
    drawn.append(kernel.astype(np.float32))
  return tuple(drawn)


def apply(images: jax.Array, kernels) -> jax.Array:
  """Maps images [B, H, W, C] in [-1, 1] to features [B, 224].

  Args:
    images: images of any size.
    kernels: the result of `kernels`.
  """
  x, means = images, []
  for index, kernel in enumerate(kernels, 1):
    x = lax.conv_general_dilated(
      x,
      kernel,
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      # GPUs and TPUs round factors by default, and distances would depend on
      # the device.
      precision=lax.Precision.HIGHEST,
    )
    x = nn.relu(x)
    if index % CONVOLUTIONS == 0:
      means.append(jnp.mean(x, axis=(1, 2)))
      # Sides of one pixel are kept.
      x = nn.avg_pool(x, (2, 2), (2, 2), 'SAME', count_include_pad=False)
  return jnp.concatenate(means, axis=-1)


_apply = jax.jit(apply)


def features(seed: int = 0, batch_size: int = 250) -> Callable:
  """Returns a feature function of a frozen random network.

  Equal seeds give equal weights on every machine.

  Args:
    seed: selects the network.
    batch_size: images per call of the network.

  Returns:
    A function from images [N, H, W, C], uint8 or floats in [-1, 1] of any size,
    to {'features': [N, 224]}. Errors of the function are those of
    `batches.in_batches`.
  """

  def of_batch(images):
    images = pixels_lib.to_float(images).astype(np.float32)
    return {'features': _apply(images, kernels(seed, images.shape[-1]))}

  return batches.in_batches(of_batch, batch_size)
