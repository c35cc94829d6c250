"""GAT and CAT: transformers as generators and discriminators.

GAT: Hyun et al. 2025, https://arxiv.org/abs/2509.24935. CAT: 2026,
https://arxiv.org/abs/2605.26449. Both have one generator. It makes an image
after every few blocks, and a discriminator that sees all of these images: with
different amounts of noise (GAT), or at different scales (CAT).

The papers train on 32 x 32 x 4 latents of an autoencoder. Pixels are the same
network with other channels.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.core import noise, switches
from jaxgan.core.ranges import MOST_UNITS, ranged
from jaxgan.models.layers import layers
from jaxgan.models.layers import transformer as parts
from jaxgan.models.layers import transformer_heads as ends

LEAST_INFORMATION = 0.125  # share of the image that the noisiest level keeps
LEAST_NOISE = 0.01


class Generator(nn.Module):
  """Generates images [B, H, W, C] from latents [B, Z], at several depths.

  The first tokens are fixed positions. All blocks and heads are modulated by w,
  a function of latents and labels. Each head adds to the image of the head
  before, and the result is the tuple of all images, the last one after all
  blocks. Pixels are not limited to (-1, 1). The defaults are those of GAT-S/2.

  The authors' code also embeds an image of noise, and multiplies the result by
  zero. It counts these weights and the fixed positions: 273 x width parameters
  more, for latents of 32 x 32 x 4 and patches of 2.

  Attributes:
    shape: (height, width, channels) of an image.
    depth: number of blocks.
    width: channels of a token.
    heads: heads of attention.
    patch: pixels of a side of a patch.
    outputs: number of images, which divides the depth; 1 returns an image
      instead of a tuple.
    modulation: 'scale' for a scale and a gate of each branch (GAT), 'shift' for
      a shift as well (CAT).
    embedding: size of the embedding of labels.
    multiplier: factor of the learning rate of the layers before w.
    recompute: True to compute activations of blocks twice and keep none, which
      saves memory.
    num_classes: classes to condition on; 0 ignores labels.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  depth: int = ranged(12, 1, ends.MOST_BLOCKS)
  width: int = ranged(384, 4, MOST_UNITS)
  heads: int = ranged(6, 1, MOST_UNITS)
  patch: int = ranged(2, 1, 256)
  outputs: int = ranged(4, 1, ends.MOST_BLOCKS)
  modulation: str = ranged('scale', one_of=('scale', 'shift'))
  embedding: int = ranged(64, 1, MOST_UNITS)
  multiplier: float = ranged(0.01, above=0)
  recompute: bool = False
  num_classes: int = 0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, z: jax.Array, label=None, *, train: bool):
    del train
    ends.check('generator', self)
    if self.depth % self.outputs:
      raise errors.UserError(
        f'generator.depth={self.depth} must be a multiple of '
        f'generator.outputs={self.outputs}. Change one of them.'
      )
    if self.num_classes:
      switches.check_labels(label, self.num_classes)
    w = ends.Mapping(
      self.width, self.embedding, self.multiplier, self.num_classes
    )(z, label)
    *sides, channels = self.shape
    grid, shift = parts.grid_of(sides, self.patch), self.modulation == 'shift'
    turn = parts.angles(grid, self.width // self.heads)
    x = jnp.asarray(parts.positions(grid, self.width), w.dtype)
    x = jnp.broadcast_to(x[None], (z.shape[0], *x.shape))
    every = self.depth // self.outputs
    images = []
    blocks = ends.blocks(self, parts.GatedBlock, shift)
    for index, block in enumerate(blocks, 1):
      x = block(x, w, turn)
      if index % every == 0:
        size = self.patch**2 * channels
        name = f'head_{index // every - 1}'
        head = ends.Head(size, shift, self.dtype, name=name)
        image = parts.image_of(head(x, w), self.shape, self.patch)
        images.append(image + images[-1] if images else image)
    return tuple(images) if self.outputs > 1 else images[0]


def levels(count: int) -> np.ndarray:
  """Returns the share of noise of each of several images, falling to 0.01.

  GAT, section 3.2, with the numbers of the authors' code: 0.885, 0.76, 0.51 and
  0.01 for four images.
  """
  place = np.linspace(0.0, 1.0, count) if count > 1 else np.ones(1)
  return 1.0 + LEAST_NOISE - LEAST_INFORMATION ** (1.0 - place)


def noisy(images: tuple, key) -> tuple:
  """Returns (1 - t) x + t n for each image and its level t.

  The noises n of an example are a Markov chain: each level adds noise to that
  of the level with less noise.

  Args:
    images: tuple of [B, H, W, C], the last one with the least noise.
    key: PRNG key of the noise; row i belongs to example i.
  """
  found, before, total = [], 0.0, 0.0
  for index, share in reversed([*enumerate(levels(len(images)))]):
    x = images[index]
    kept = (1.0 - share) / (1.0 - before)
    deviation = float(np.sqrt(share**2 - (before * kept) ** 2))
    own = jax.random.fold_in(key, index)
    drawn = noise.normal(own, len(x), x.shape[1:]).astype(x.dtype)
    total = float(kept) * total + deviation * drawn
    found.append(float(1.0 - share) * x + total)
    before = share
  return tuple(found[::-1])


class NoiseDiscriminator(ends.Discriminator):
  """Discriminates tuples of images [B, H, W, C]: logits [B], for GAT.

  The images of a tuple are made at several depths, or are one real image. Each
  has an amount of noise of its own, see `noisy`. Then they are channels of one
  image. The logit is a function of a class token and the label. The defaults
  are those of GAT-S/2. For fields and sown values, see `ends.Discriminator`.
  """

  @nn.compact
  def __call__(self, x, label=None, *, train: bool) -> jax.Array:
    del train
    ends.check('discriminator', self)
    is_keyed = self.has_rng('dropout')
    key = self.make_rng('dropout') if is_keyed else jax.random.key(0)
    images = x if isinstance(x, tuple) else (x,)
    x = jnp.concatenate(noisy(images, key), axis=-1)
    grid = parts.grid_of(x.shape[1:3], self.patch)
    x = self.tokens()(parts.patches(x, self.patch))
    x = x + jnp.asarray(parts.positions(grid, self.width), x.dtype)[None]
    first = self.param('class', parts.embedded, (1, self.width), layers.PARAM)
    x = _with_class(x, first)
    turn = parts.angles(grid, self.width // self.heads, before=1)
    for block in ends.blocks(self, parts.Block):
      x = block(x, turn)
    return self.judged(x[:, 0], x, label)


class ScaleDiscriminator(ends.Discriminator):
  """Discriminates tuples of images [B, H, W, C]: logits [B, scales], for CAT.

  The last image keeps its size, and the one before each has half of the sides.
  Images pass one after the other through the same blocks, so that tokens of
  different scales do not see each other. A scale has a class token, an
  embedding and a logit of its own. CAT has the size B, and the defaults are
  those of `NoiseDiscriminator`. The sown features are of the largest image.
  """

  @nn.compact
  def __call__(self, x, label=None, *, train: bool) -> jax.Array:
    del train
    ends.check('discriminator', self)
    images = x if isinstance(x, tuple) else (x,)
    count, tokens = len(images), self.tokens()
    first, scale = (
      self.param(name, parts.embedded, (count, self.width), layers.PARAM)
      for name in ('class', 'scale')
    )
    blocks, last = ends.blocks(self, parts.Block), []
    for index, image in enumerate(images):
      image, grid = scaled(image, 2 ** (count - 1 - index), self.patch)
      x = tokens(parts.patches(image, self.patch))
      x = x + jnp.asarray(parts.positions(grid, self.width), x.dtype)[None]
      x = _with_class(x, first[index : index + 1])
      x = x + scale[index].astype(x.dtype)[None, None]
      for block in blocks:
        x = block(x, None)
      last.append(x[:, 0])
    return self.judged(jnp.stack(last, axis=1), x, label)


def scaled(image: jax.Array, factor: int, patch: int):
  """Returns images with sides divided by a factor, and their grid of patches.

  The grid is rounded up, and smaller images fill it. Pixels are means in a
  triangular window; third-party code of CAT takes four pixels of each.
  """
  grid = tuple(-(-n // factor) for n in parts.grid_of(image.shape[1:3], patch))
  if factor == 1:
    return image, grid
  sides = [n * patch for n in grid]
  shape = (len(image), *sides, image.shape[-1])
  return jax.image.resize(image, shape, 'linear'), grid


def _with_class(x: jax.Array, first: jax.Array) -> jax.Array:
  """Returns tokens [B, 1 + T, C], with a class token [1, C] before others."""
  first = jnp.broadcast_to(
    first[None].astype(x.dtype), (len(x), 1, x.shape[-1])
  )
  return jnp.concatenate([first, x], axis=1)
