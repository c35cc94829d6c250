"""Fully connected networks for images of any shape, and for points."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import layers


def _with_label(x, label, num_classes):
  """Appends one-hot labels (Mirza and Osindero 2014, arxiv.org/abs/1411.1784).

  x: [B, D]; label: [B] or None. Returns [B, D] or [B, D + num_classes].
  """
  if not num_classes:
    return x
  return jnp.concatenate([x, jax.nn.one_hot(label, num_classes)], axis=-1)


class Generator(nn.Module):
  """Latents [B, Z] to images [B, *shape] in (-1, 1).

  The defaults are the network of the MNIST GAN tutorial (583,312 parameters for
  28 x 28 grey pixels and 100 latents, 1,792 of them running statistics).

  Attributes:
    shape: shape of one image, or of one point.
    widths: units of the hidden layers.
    slope: negative slope of the leaky rectifiers.
    norm: after each hidden layer, one of `layers.NORMS`.
    momentum: of running statistics.
    bounded: ends in tanh; without, outputs are any real numbers.
    num_classes: classes to condition on; 0 ignores labels.
    axis_name: mapped axis over which batch statistics are taken.
    reference_size: rows in front that are a reference, see `layers`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = (128, 256, 512)
  slope: float = 0.2
  norm: str = 'batch'
  momentum: float = 0.8
  bounded: bool = True
  num_classes: int = 0
  axis_name: str | None = None
  reference_size: int = 0

  @nn.compact
  def __call__(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    x = _with_label(z, label, self.num_classes)
    for width in self.widths:
      x = nn.leaky_relu(nn.Dense(width)(x), self.slope)
      x = layers.norm(
        self.norm,
        train=train,
        momentum=self.momentum,
        axis_name=self.axis_name,
        reference_size=self.reference_size,
      )(x)
    x = nn.Dense(math.prod(self.shape))(x)
    if self.bounded:
      x = jnp.tanh(x)
    return x.reshape(-1, *self.shape)


class Discriminator(nn.Module):
  """Images [B, ...] to logits [B]; positive means real.

  The defaults are the network of the MNIST GAN tutorial (265,601 parameters for
  784 pixels). There is no normalisation: penalties need logits that depend on
  their own image alone.

  Attributes:
    widths: units of the hidden layers.
    slope: negative slope of the leaky rectifiers.
    num_classes: classes to condition on; 0 ignores labels.
  """

  widths: tuple[int, ...] = (128, 256, 512)
  slope: float = 0.2
  num_classes: int = 0

  @nn.compact
  def __call__(self, x: jax.Array, label=None, *, train: bool) -> jax.Array:
    del train
    x = _with_label(x.reshape(len(x), -1), label, self.num_classes)
    for width in self.widths:
      x = nn.leaky_relu(nn.Dense(width)(x), self.slope)
    return nn.Dense(1)(x)[:, 0]
