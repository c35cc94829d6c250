"""The synthesis network of StyleGAN2.

Karras et al. 2020, https://arxiv.org/abs/1912.04958, figures 2 and 7.
"""

import functools
import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.core import noise
from jaxgan.models.layers import equalized, layers, modulated, resampling
from jaxgan.models.layers.equalized import HALF


def _draws(key, count: int, shapes) -> list[jax.Array]:
  """Returns noise [count, H, W, 1] for each (height, width)."""
  ends = np.cumsum([math.prod(shape) for shape in shapes])
  draw = lambda key: noise.normal(key, count, (int(ends[-1]),))
  parts = jnp.split(noise.once(draw, key), ends[:-1], axis=1)
  return [
    part.reshape(count, *shape, 1)
    for part, shape in zip(parts, shapes, strict=True)
  ]


class Synthesis(nn.Module):
  """Generates images [B, H, W, C] from w [B, 2 * stages, D].

  Attributes are those of `stylegan2.Generator`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...]
  architecture: str
  fused: bool
  clamp: float
  dtype: jnp.dtype | None

  @nn.compact
  def __call__(self, w: jax.Array, *, train: bool) -> jax.Array:
    *sides, channels = self.shape
    last, is_residual = len(self.widths) - 1, self.architecture == 'residual'
    sizes = [
      tuple(-(-side // 2 ** (last - index)) for side in sides)
      for index in range(last + 1)
    ]
    form = modulated.of_kernels if self.fused else modulated.of_activations
    conv = functools.partial(
      modulated.ModulatedConv, clamp=self.clamp, form=form
    )
    pixels = itertools.repeat(None)
    if train and not self.is_initializing():
      # One draw for all layers, because programs of draws are long.
      shapes = [sizes[0], *(size for size in sizes[1:] for _ in range(2))]
      pixels = iter(_draws(self.make_rng('dropout'), len(w), shapes))
    shape = (*sizes[0], self.widths[0])
    x = self.param('start', nn.initializers.normal(1.0), shape, layers.PARAM)
    x = jnp.broadcast_to(x[None], (w.shape[0], *shape))
    image = None
    for index, (width, size) in enumerate(zip(self.widths, sizes, strict=True)):
      own = dict(dtype=self.dtype if index else None)
      before, sums = x, is_residual and index > 0
      if index:
        x = conv(width, size=size, gain=1.0, **own, name=f'up_{index}')(
          x, w[:, 2 * index - 1], next(pixels)
        )
      x = conv(
        width,
        size=None,
        gain=HALF if sums else 1.0,
        **own,
        name=f'conv_{index}',
      )(x, w[:, 2 * index], next(pixels))
      if sums:
        x = x + equalized.Conv(
          width,
          1,
          doubled=size,
          is_activated=False,
          gain=HALF,
          **own,
          name=f'skip_{index}',
        )(before)
      if index < last and is_residual:
        continue
      part = modulated.ToImage(
        channels, self.clamp, form, name=f'image_{index}'
      )(x, w[:, 2 * index + 1])
      if image is not None:
        part += resampling.enlarge(image, size, equalized.FILTER)
      image = part
    return image
