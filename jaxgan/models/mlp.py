"""Fully connected networks for images of any shape, and for points."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import switches
from jaxgan.core.ranges import MOST_UNITS, ranged
from jaxgan.models.layers import layers, norms

CONDITIONINGS = ('concat', 'multiply')
OUTPUTS = ('classes', layers.CLASS_LOGIT)  # labels that choose an output
HEADS = (*CONDITIONINGS, *OUTPUTS)  # of discriminators


def _with_label(x, label, num_classes, conditioning):
  """Adds labels [B] to [B, D]; without classes [B, D] is unchanged.

  'concat' appends one-hot labels (Mirza and Osindero 2014,
  https://arxiv.org/abs/1411.1784); 'multiply' multiplies by an embedding of the
  label, as in the MNIST CGAN tutorial.
  """
  if not num_classes:
    return x
  switches.check_labels(label, num_classes)
  if conditioning == 'multiply':
    return x * nn.Embed(num_classes, x.shape[-1], embedding_init=_embedding)(
      label
    )
  if conditioning == 'concat':
    labels = jax.nn.one_hot(label, num_classes, dtype=x.dtype)
    return jnp.concatenate([x, labels], axis=-1)
  raise errors.unknown('conditioning', conditioning, CONDITIONINGS)


def _embedding(key, shape, dtype=jnp.float32):
  """Draws from a uniform distribution in [-0.05, 0.05), as in Keras."""
  return jax.random.uniform(key, shape, dtype, -0.05, 0.05)


def _initializers(module):
  """Yields one kernel initializer per layer."""
  rest = layers.initializer(module.initializer)
  first = module.first_initializer
  yield layers.initializer(first) if first else rest
  while True:
    yield rest


class Generator(nn.Module):
  """Generates images [B, *shape] in (-1, 1) from latents [B, Z].

  The defaults are the network of the MNIST GAN tutorial (583,312 parameters for
  28 x 28 grey pixels and 100 latents, 1,792 of them running statistics).

  Attributes:
    shape: shape of one image, or of one point.
    widths: units of the hidden layers.
    slope: negative slope of the leaky rectifiers.
    norm: after each hidden layer, one of `norms.NORMS`.
    momentum: decay of running statistics.
    bounded: True to end in tanh; False for any real numbers.
    num_classes: classes to condition on; 0 ignores labels.
    conditioning: one of `CONDITIONINGS`.
    initializer: initial kernels, a key of `layers.INITIALIZERS`.
    first_initializer: initial kernel of the first layer, if different.
    reference_size: first rows, which are a reference, see `norms`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged((128, 256, 512), 1, MOST_UNITS)
  slope: float = 0.2
  norm: str = ranged('batch', one_of=norms.CHOICES)
  momentum: float = ranged(0.8, 0, below=1)
  bounded: bool = True
  num_classes: int = 0
  conditioning: str = ranged('concat', one_of=CONDITIONINGS)
  initializer: str = ranged('lecun', one_of=layers.INITIALIZERS)
  first_initializer: str = ranged('', one_of=('', *layers.INITIALIZERS))
  reference_size: int = 0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    x = _with_label(z, label, self.num_classes, self.conditioning)
    kernels = _initializers(self)
    for width in self.widths:
      dense = nn.Dense(width, kernel_init=next(kernels), dtype=self.dtype)
      x = nn.leaky_relu(dense(x), self.slope)
      x = norms.norm(
        self.norm,
        train=train,
        momentum=self.momentum,
        reference_size=self.reference_size,
        dtype=self.dtype,
      )(x)
    x = nn.Dense(math.prod(self.shape), kernel_init=next(kernels))(x)
    if self.bounded:
      x = jnp.tanh(x)
    return x.reshape(-1, *self.shape)


class Discriminator(nn.Module):
  """Discriminates images [B, ...]: logits [B], positive for real.

  The defaults are the network of the MNIST GAN tutorial (265,601 parameters for
  784 pixels). There is no norm, because penalties need logits that depend on
  one image alone. Sows 'features' [B, D], the inputs of the last layer, into
  'intermediates'.

  Attributes:
    widths: units of the hidden layers.
    slope: negative slope of the leaky rectifiers.
    dropout: rate after every hidden layer.
    input_noise: deviation of noise on the input.
    hidden_noise: deviation of noise on the input of the other hidden layers.
    minibatch_kernels: kernels of minibatch discrimination; 0 is off.
    num_classes: classes to condition on; 0 ignores labels.
    conditioning: one of `HEADS`. With 'classes' the
      network is a classifier that sows its logits as 'classes'. The logit of
      real is the log sum exp of these logits (Salimans et al. 2016,
      https://arxiv.org/abs/1606.03498, section 5). See `layers.class_logit`
      for 'class_logit'.
    initializer: initial kernels, a key of `layers.INITIALIZERS`.
    first_initializer: initial kernel of the first layer, if different.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((128, 256, 512), 1, MOST_UNITS)
  slope: float = 0.2
  dropout: float = ranged(0.0, 0, below=1)
  input_noise: float = ranged(0.0, 0)
  hidden_noise: float = ranged(0.0, 0)
  minibatch_kernels: int = ranged(0, 0, MOST_UNITS)
  num_classes: int = 0
  conditioning: str = ranged('concat', one_of=HEADS)
  initializer: str = ranged('lecun', one_of=layers.INITIALIZERS)
  first_initializer: str = ranged('', one_of=('', *layers.INITIALIZERS))
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, label=None, *, train: bool) -> jax.Array:
    x = x.reshape(len(x), -1)
    if self.conditioning not in OUTPUTS:
      x = _with_label(x, label, self.num_classes, self.conditioning)
    kernels = _initializers(self)
    for index, width in enumerate(self.widths):
      deviation = self.hidden_noise if index else self.input_noise
      x = layers.GaussianNoise(deviation)(x, active=train)
      dense = nn.Dense(width, kernel_init=next(kernels), dtype=self.dtype)
      x = nn.leaky_relu(dense(x), self.slope)
      x = layers.Dropout(self.dropout)(x, active=train)
    if self.minibatch_kernels:
      x = norms.MinibatchDiscrimination(self.minibatch_kernels)(x)
    self.sow('intermediates', 'features', x)
    if self.num_classes and self.conditioning == 'classes':
      classes = nn.Dense(self.num_classes, kernel_init=next(kernels))(x)
      self.sow('intermediates', 'classes', classes)
      return jax.nn.logsumexp(classes, axis=-1)
    if self.num_classes and self.conditioning == layers.CLASS_LOGIT:
      dense = lambda n: nn.Dense(n, kernel_init=next(kernels))
      return layers.class_logit(self, dense, x, label)
    return nn.Dense(1, kernel_init=next(kernels))(x)[:, 0]
