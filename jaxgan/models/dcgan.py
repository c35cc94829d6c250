"""Convolutional networks for images of any size.

Radford et al. 2015, https://arxiv.org/abs/1511.06434.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import switches
from jaxgan.core.ranges import (
  MOST_KERNEL,
  MOST_STRIDE,
  MOST_UNITS,
  NOT_EMPTY,
  ranged,
)
from jaxgan.models.layers import layers, norms

UPSAMPLINGS = ('transposed', 'resize')
CONDITIONINGS = ('concat', 'projection', 'auxiliary', layers.CLASS_LOGIT)


def _one_hot(x, label, num_classes):
  """Appends one-hot labels [B] to [B, D]: [B, D + num_classes]."""
  switches.check_labels(label, num_classes)
  labels = jax.nn.one_hot(label, num_classes, dtype=x.dtype)
  return jnp.concatenate([x, labels], axis=-1)


class Generator(nn.Module):
  """Generates images [B, H, W, C] in (-1, 1) from latents [B, Z].

  The defaults are the network of the MNIST DCGAN tutorial (2,330,944 parameters
  for 28 x 28 grey pixels and 100 latents, 25,472 of them running statistics).
  A dense layer makes a small image, and every further layer enlarges the image.
  Sides that the strides do not divide are rounded up in every layer: 28 pixels
  with three strides of 2 are 4, 7, 14, 28.

  Attributes:
    shape: (height, width, channels) of an image.
    widths: channels of the small image and after every layer but the last.
    strides: factor by which each layer enlarges the image.
    kernel: side of the kernels.
    slope: negative slope of the leaky rectifiers.
    upsampling: 'transposed' convolutions, or 'resize' to the nearest pixel and
      convolve (Odena et al. 2016, https://doi.org/10.23915/distill.00003).
    norm: one of `norms.NORMS`.
    hidden: units of a dense layer before the small image; 0 is none.
    flat_norm: True to normalise units after the dense layer, not channels.
    dense_bias: True for a bias in the dense layer.
    bias: True for biases in the convolutions.
    dropout: rate after every hidden convolution.
    dropout_at_test: True to apply dropout when sampling as well (Isola et al.
      2017, https://arxiv.org/abs/1611.07004, section 2.2).
    momentum: decay of running statistics.
    epsilon: added to variances by norms; 1e-3 in Keras, 1e-5 in Torch.
    num_classes: classes to condition on; 0 ignores labels.
    initializer: initial kernels, a key of `layers.INITIALIZERS`.
    reference_size: first rows, which are a reference, see `norms`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged(
    (256, 128, 64), 1, MOST_UNITS, lengths=NOT_EMPTY
  )
  strides: tuple[int, ...] = ranged((1, 2, 2), 1, MOST_STRIDE)
  kernel: int = ranged(5, 1, MOST_KERNEL)
  slope: float = 0.3
  upsampling: str = ranged('transposed', one_of=UPSAMPLINGS)
  norm: str = ranged('batch', one_of=norms.CHOICES)
  hidden: int = ranged(0, 0, MOST_UNITS)
  flat_norm: bool = True
  dense_bias: bool = False
  bias: bool = False
  dropout: float = ranged(0.0, 0, below=1)
  dropout_at_test: bool = False
  momentum: float = ranged(0.99, 0, below=1)
  epsilon: float = ranged(1e-3, above=0)
  num_classes: int = 0
  initializer: str = ranged('lecun', one_of=layers.INITIALIZERS)
  reference_size: int = 0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    if len(self.widths) != len(self.strides):
      raise errors.UserError(
        f'generator.strides={self.strides} must have one entry for each of '
        f'generator.widths={self.widths}.'
      )
    if self.upsampling not in UPSAMPLINGS:
      raise errors.unknown('generator.upsampling', self.upsampling, UPSAMPLINGS)

    def norm(x):
      return norms.norm(
        self.norm,
        train=train,
        momentum=self.momentum,
        epsilon=self.epsilon,
        reference_size=self.reference_size,
        dtype=self.dtype,
      )(x)

    *sides, channels = self.shape
    # Sizes of the small image and after every layer.
    sizes = [
      tuple(-(-side // math.prod(self.strides[index:])) for side in sides)
      for index in range(len(self.strides) + 1)
    ]
    start = (*sizes[0], self.widths[0])
    x = _one_hot(z, label, self.num_classes) if self.num_classes else z
    dense = functools.partial(
      nn.Dense,
      use_bias=self.dense_bias,
      kernel_init=layers.initializer(self.initializer),
      dtype=self.dtype,
    )
    if self.hidden:
      x = nn.leaky_relu(norm(dense(self.hidden)(x)), self.slope)
    x = dense(math.prod(start))(x)
    if self.flat_norm:
      x = norm(x).reshape(-1, *start)
    else:
      x = norm(x.reshape(-1, *start))
    x = nn.leaky_relu(x, self.slope)
    *hidden, last = zip(self.strides, sizes[1:], strict=True)
    for features, (stride, size) in zip(self.widths[1:], hidden, strict=True):
      x = norm(self._enlarge(x, features, stride, size, self.dtype))
      x = nn.leaky_relu(x, self.slope)
      x = layers.Dropout(self.dropout)(x, active=train or self.dropout_at_test)
    return jnp.tanh(self._enlarge(x, channels, *last))

  def _enlarge(self, x, features, stride, size, dtype=None):
    fields = dict(use_bias=self.bias, initializer=self.initializer, dtype=dtype)
    if self.upsampling == 'resize':
      layer = layers.Conv(features, self.kernel, enlarged=size, **fields)
    else:
      layer = layers.ConvTranspose(
        features, self.kernel, stride, size, **fields
      )
    return layer(x)


class Discriminator(nn.Module):
  """Discriminates images [B, H, W, C]: logits [B], positive for real.

  The defaults are the network of the MNIST DCGAN tutorial (212,865 parameters
  for 28 x 28 grey pixels).

  Sows into 'intermediates': 'features' [B, D], the inputs of the last layer,
  and with auxiliary conditioning 'classes' [B, num_classes], logits.

  Attributes:
    widths: channels after every convolution.
    strides: strides of the convolutions; empty means 2 for all.
    kernel: side of the kernels.
    slope: negative slope of the leaky rectifiers.
    norm: one of `norms.NORMS`, after every convolution but the first.
    first_norm: True for a norm after the first convolution as well.
    bias: True for biases in the convolutions.
    dropout: rate after every convolution.
    hidden: units of a dense layer after the convolutions; 0 is none.
    conditioning: 'concat' appends the label to the flat features;
      'projection' adds their inner product with the label's embedding (Miyato
      and Koyama 2018, https://arxiv.org/abs/1802.05637, equation 3);
      'auxiliary' predicts the label (Odena et al. 2017,
      https://arxiv.org/abs/1610.09585).
    minibatch_stddev: True to append the deviation over the batch before the
      last convolution.
    minibatch_kernels: kernels of minibatch discrimination; 0 is off.
    momentum: decay of running statistics.
    epsilon: added to variances by norms; 1e-3 in Keras, 1e-5 in Torch.
    num_classes: classes to condition on; 0 ignores labels.
    initializer: initial kernels, a key of `layers.INITIALIZERS`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((64, 128), 1, MOST_UNITS)
  strides: tuple[int, ...] = ranged((), 1, MOST_STRIDE, items=int)
  kernel: int = ranged(5, 1, MOST_KERNEL)
  slope: float = 0.3
  norm: str = ranged('none', one_of=norms.CHOICES)
  first_norm: bool = False
  bias: bool = True
  dropout: float = ranged(0.3, 0, below=1)
  hidden: int = ranged(0, 0, MOST_UNITS)
  conditioning: str = ranged('concat', one_of=CONDITIONINGS)
  minibatch_stddev: bool = False
  minibatch_kernels: int = ranged(0, 0, MOST_UNITS)
  momentum: float = ranged(0.99, 0, below=1)
  epsilon: float = ranged(1e-3, above=0)
  num_classes: int = 0
  initializer: str = ranged('lecun', one_of=layers.INITIALIZERS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, label=None, *, train: bool) -> jax.Array:
    if self.conditioning not in CONDITIONINGS:
      raise errors.unknown(
        'discriminator.conditioning', self.conditioning, CONDITIONINGS
      )
    dense = functools.partial(
      nn.Dense, kernel_init=layers.initializer(self.initializer)
    )
    strides = self.strides or (2,) * len(self.widths)
    if len(strides) != len(self.widths):
      raise errors.UserError(
        f'discriminator.strides={strides} must have one entry for each of '
        f'discriminator.widths={self.widths}.'
      )
    for index, (features, stride) in enumerate(
      zip(self.widths, strides, strict=True)
    ):
      if self.minibatch_stddev and index == len(self.widths) - 1:
        x = norms.MinibatchStddev()(x)
      x = layers.Conv(
        features,
        self.kernel,
        stride,
        use_bias=self.bias,
        initializer=self.initializer,
        dtype=self.dtype,
      )(x)
      if index or self.first_norm:
        x = norms.norm(
          self.norm,
          train=train,
          momentum=self.momentum,
          epsilon=self.epsilon,
          dtype=self.dtype,
        )(x)
      x = nn.leaky_relu(x, self.slope)
      x = layers.Dropout(self.dropout)(x, active=train)
    x = x.reshape(len(x), -1)
    if self.num_classes and self.conditioning == 'concat':
      x = _one_hot(x, label, self.num_classes)
    if self.hidden:
      x = nn.relu(dense(self.hidden, dtype=self.dtype)(x))
    if self.minibatch_kernels:
      x = norms.MinibatchDiscrimination(self.minibatch_kernels)(x)
    self.sow('intermediates', 'features', x)
    if self.num_classes and self.conditioning == layers.CLASS_LOGIT:
      return layers.class_logit(self, dense, x, label)
    logits = dense(1)(x)[:, 0]
    if self.num_classes and self.conditioning == 'projection':
      switches.check_labels(label, self.num_classes)
      embedding = nn.Embed(self.num_classes, x.shape[-1])(label)
      logits += jnp.sum(embedding * x, axis=-1)
    if self.num_classes and self.conditioning == 'auxiliary':
      self.sow('intermediates', 'classes', dense(self.num_classes)(x))
    return logits
