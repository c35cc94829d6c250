"""Networks of binary units: Boltzmann machines and sigmoid belief networks."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.core.ranges import MOST_UNITS, NOT_EMPTY, ranged

NORMAL, ZEROS = nn.initializers.normal(0.01), nn.initializers.zeros


def _product(x, kernel, dtype):
  """Returns the product x @ kernel in `dtype`, as the type of x."""
  a, b = nn.dtypes.promote_dtype(x, kernel, dtype=dtype)
  return (a @ b).astype(x.dtype)


class Restricted(nn.Module):
  """A restricted Boltzmann machine with energy -b.v - c.h - v W h.

  Attributes:
    shape: shape of an image.
    width: hidden units.
    dtype: dtype of products, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  width: int = ranged(128, 1, MOST_UNITS)
  dtype: jnp.dtype | None = None

  def setup(self):
    visible = math.prod(self.shape)
    self.kernel = self.param('kernel', NORMAL, (visible, self.width))
    self.visible_bias = self.param('visible_bias', ZEROS, (visible,))
    self.hidden_bias = self.param('hidden_bias', ZEROS, (self.width,))

  def __call__(self, v: jax.Array, *, train: bool) -> jax.Array:
    """Returns free energies [B] of images, -log of the sum of exp(-energy)."""
    hidden = jax.nn.softplus(self.hidden_logits(v, train=train))
    return -v.reshape(v.shape[0], -1) @ self.visible_bias - jnp.sum(
      hidden, axis=-1
    )

  def hidden_logits(self, v: jax.Array, *, train: bool) -> jax.Array:
    """Returns logits [B, width] of p(h|v)."""
    del train
    v = v.reshape(v.shape[0], -1)
    return _product(v, self.kernel, self.dtype) + self.hidden_bias[None]

  def visible_logits(self, h: jax.Array, *, train: bool) -> jax.Array:
    """Returns logits [B, *shape] of p(v|h)."""
    del train
    logits = _product(h, self.kernel.T, self.dtype) + self.visible_bias[None]
    return logits.reshape(-1, *self.shape)


class Generative(nn.Module):
  """A sigmoid belief network from hidden units down to pixels.

  Neal 1992 (https://doi.org/10.1016/0004-3702(92)90065-6). Hidden units of all
  layers are one array [B, H], the layer next to the pixels first.

  Attributes:
    shape: shape of an image.
    widths: units of the hidden layers, upwards.
    dtype: dtype of products, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged((200, 50), 1, MOST_UNITS, lengths=NOT_EMPTY)
  dtype: jnp.dtype | None = None

  def setup(self):
    self.top = self.param('top', ZEROS, (self.widths[-1],))
    units = (math.prod(self.shape), *self.widths[:-1])
    self.layers = [nn.Dense(count, dtype=self.dtype) for count in units]

  def __call__(self, u: jax.Array, *, train: bool) -> jax.Array:
    """Draws hidden units by uniform numbers u [B, H]; returns pixel logits."""
    return self.dream(u, train=train)[1]

  def dream(self, u: jax.Array, *, train: bool):
    """Returns hidden units [B, H], drawn, and logits of pixels [B, *shape]."""
    del train
    units, logits = [], self.top[None]
    parts = _split(u, self.widths)
    for part, layer in zip(parts[::-1], self.layers[::-1], strict=True):
      units.append((part < jax.nn.sigmoid(logits)).astype(u.dtype))
      logits = layer(units[-1]).astype(u.dtype)
    hidden = jnp.concatenate(units[::-1], axis=-1)
    return hidden, logits.reshape(-1, *self.shape)

  def log_probability(self, v: jax.Array, h: jax.Array, *, train: bool):
    """Returns log p(v, h) [B] of images [B, ...] and hidden units [B, H]."""
    del train
    parts = _split(h, self.widths)
    below = _apply(self.layers, parts)
    logits = [*below, jnp.broadcast_to(self.top, parts[-1].shape)]
    return _log_probability(logits, [v.reshape(v.shape[0], -1), h])


class Recognition(nn.Module):
  """A sigmoid belief network from pixels up to hidden units.

  Attributes:
    widths: units of the hidden layers, upwards.
    dtype: dtype of products, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((200, 50), 1, MOST_UNITS, lengths=NOT_EMPTY)
  dtype: jnp.dtype | None = None

  def setup(self):
    self.layers = [nn.Dense(count, dtype=self.dtype) for count in self.widths]

  def __call__(self, v: jax.Array, u: jax.Array, *, train: bool) -> jax.Array:
    """Draws hidden units [B, H] of images by uniform numbers u [B, H]."""
    del train
    x, units = v.reshape(v.shape[0], -1), []
    for layer, part in zip(self.layers, _split(u, self.widths), strict=True):
      logits = layer(x).astype(u.dtype)
      x = (part < jax.nn.sigmoid(logits)).astype(u.dtype)
      units.append(x)
    return jnp.concatenate(units, axis=-1)

  def log_probability(self, v: jax.Array, h: jax.Array, *, train: bool):
    """Returns log q(h|v) [B] of hidden units [B, H] and images [B, ...]."""
    del train
    below = [v.reshape(v.shape[0], -1), *_split(h, self.widths)[:-1]]
    return _log_probability(_apply(self.layers, below), [h])


def _apply(layers, inputs) -> list[jax.Array]:
  """Returns the logits of layers, as the type of their inputs."""
  pairs = zip(layers, inputs, strict=True)
  return [layer(x).astype(x.dtype) for layer, x in pairs]


def _split(h: jax.Array, widths: tuple[int, ...]) -> list[jax.Array]:
  """Returns the layers of hidden units [B, H]."""
  ends = [sum(widths[: index + 1]) for index in range(len(widths) - 1)]
  return jnp.split(h, ends, axis=-1)


def _log_probability(logits, units) -> jax.Array:
  """Returns log-probabilities [B] of binary units, given their logits."""
  logits, units = (jnp.concatenate(x, axis=-1) for x in (logits, units))
  return jnp.sum(units * logits - jax.nn.softplus(logits), axis=-1)
