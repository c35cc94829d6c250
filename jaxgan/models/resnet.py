"""Residual networks: SNGAN, projection discriminator, SAGAN and BigGAN.

Miyato et al. 2018, https://arxiv.org/abs/1802.05957.
Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637.
Zhang et al. 2018, https://arxiv.org/abs/1805.08318.
Brock et al. 2018, https://arxiv.org/abs/1809.11096.

Images have any size; small sides are rounded up. Spectral norm is a field of
the config, see `config.networks`.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import switches
from jaxgan.core.ranges import MOST_UNITS, NOT_EMPTY, ranged
from jaxgan.models.layers import layers, residual

MOST_BLOCKS = 16
# Initial kernels of residual branches where they differ from the other ones.
RESIDUAL = {'glorot': 'glorot_relu'}


def _check_attention(player: str, attention, blocks: int) -> None:
  """Raises a UserError for attention after a block that does not exist."""
  if max(attention, default=0) > blocks:
    raise errors.UserError(
      f'{player}.attention={tuple(attention)} names a block after the last: '
      f'{player}.widths makes {blocks}. Use numbers in 1..{blocks}, or ().'
    )


class Generator(nn.Module):
  """Generates images [B, H, W, C] in (-1, 1) from latents [B, Z].

  A dense layer makes a small image, and every block doubles its sides. Labels
  act on the norms of the blocks alone. The defaults are SNGAN for CIFAR-10
  (4,276,739 trained parameters for 32 x 32 RGB pixels and 128 latents).

  Attributes:
    shape: (height, width, channels) of an image.
    widths: channels of the small image and after every block.
    upsampling: 'nearest' as the papers, or 'bilinear' as Lee and Town 2020,
      https://arxiv.org/abs/2005.02494.
    attention: numbers of the blocks, from 1, with self-attention after them.
    hierarchical: True to divide the latents: the first part makes the small
      image, and the norms of every block see a part of their own (Brock et al.
      2018, section 3.1).
    embedding: size of the embedding of labels that all norms share (Brock et
      al. 2018, section 3.1); 0 is one embedding for each norm.
    spectral_labels: True to include embeddings of single norms in spectral
      norm, as StudioGAN does.
    momentum: decay of running statistics.
    epsilon: added to variances by norms.
    num_classes: classes to condition on; 0 ignores labels.
    initializer: initial kernels, a key of `layers.INITIALIZERS`. With 'glorot'
      residual branches have a gain of sqrt(2), and labels start with scales of
      deviation 0.02 and without biases, as in SNGAN.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged(
    (256,) * 4, 1, MOST_UNITS, lengths=(1, MOST_BLOCKS + 1)
  )
  upsampling: str = ranged('nearest', one_of=residual.UPSAMPLINGS)
  attention: tuple[int, ...] = ranged((), 1, MOST_BLOCKS, items=int)
  hierarchical: bool = False
  embedding: int = ranged(0, 0, MOST_UNITS)
  spectral_labels: bool = False
  momentum: float = ranged(0.9, 0, below=1)
  epsilon: float = ranged(1e-5, above=0)
  num_classes: int = 0
  initializer: str = ranged('glorot', one_of=layers.INITIALIZERS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    blocks = len(self.widths) - 1
    _check_attention('generator', self.attention, blocks)
    kernel_init = layers.initializer(self.initializer)
    is_glorot = self.initializer == 'glorot'
    norm = functools.partial(
      residual.ConditionalBatchNorm,
      train,
      self.momentum,
      self.epsilon,
      # Vectors of a shared embedding, or latents, need a kernel.
      not (self.embedding or self.hierarchical or self.spectral_labels),
      layers.initializer('normal') if is_glorot else kernel_init,
      nn.initializers.zeros if is_glorot else kernel_init,
      self.dtype,
    )
    z, conditions = self._conditions(z, label, blocks)
    *sides, channels = self.shape
    # Sizes of the small image and after every block.
    sizes = [
      tuple(-(-side // 2 ** (blocks - index)) for side in sides)
      for index in range(blocks + 1)
    ]
    start = (*sizes[0], self.widths[0])
    x = nn.Dense(math.prod(start), kernel_init=kernel_init, dtype=self.dtype)(z)
    x = x.reshape(-1, *start)
    for index in range(blocks):
      x = residual.GeneratorBlock(
        self.widths[index + 1],
        sizes[index + 1],
        self.upsampling,
        norm,
        self.initializer,
        RESIDUAL.get(self.initializer, self.initializer),
        self.dtype,
      )(x, conditions[index])
      if index + 1 in self.attention:
        x = residual.SelfAttention(self.initializer, self.dtype)(x)
    x = nn.relu(norm()(x))
    x = layers.Conv(channels, 3, initializer=self.initializer)(x)
    return jnp.tanh(x)

  def _conditions(self, z, label, blocks: int):
    """Returns the latents of the small image, and what each block's norms see.

    Norms see a vector [B, D] of the label and of a part of the latents, or
    None.
    """
    parts = [[] for _ in range(blocks)]
    if self.num_classes:
      switches.check_labels(label, self.num_classes)
      vector = jax.nn.one_hot(label, self.num_classes, dtype=z.dtype)
      if self.embedding:
        vector = residual.Linear(
          self.embedding,
          is_table=True,
          kernel_init=layers.initializer(self.initializer),
          name='labels',
        )(vector)
      parts = [[vector] for _ in range(blocks)]
    if self.hierarchical:
      if z.shape[-1] % (blocks + 1):
        raise errors.UserError(
          f'generator.hierarchical=True divides the latents into {blocks + 1} '
          f'parts, one more than blocks, and there are {z.shape[-1]}. Set '
          f'latent_size to a multiple of {blocks + 1}.'
        )
      z, *own = jnp.split(z, blocks + 1, axis=-1)
      parts = [[*part, chunk] for part, chunk in zip(parts, own, strict=True)]
    return z, [jnp.concatenate(p, axis=-1) if p else None for p in parts]


class Discriminator(nn.Module):
  """Discriminates images [B, H, W, C]: logits [B], positive for real.

  Features are sums over all pixels after the last block. With classes, the
  logit is a linear function of the features plus their inner product with the
  embedding of the label (Miyato and Koyama 2018, equation 3). The defaults are
  SNGAN for CIFAR-10 (1,053,825 parameters for RGB pixels).

  Sows 'features' [B, D] into 'intermediates'.

  Attributes:
    widths: channels after every block.
    strides: 2 for blocks that halve the image, 1 for the other ones.
    wide: True if the convolutions of a block have as many channels between them
      as after them, as in SAGAN and BigGAN; False for as many as before them.
      The first block is always wide.
    rectified: True if shortcuts see the input of their block after its ReLU, as
      in PyTorch code whose ReLU works in place (mimicry and StudioGAN).
    attention: numbers of the blocks, from 1, with self-attention after them.
    num_classes: classes to condition on; 0 ignores labels.
    conditioning: 'projection', or 'class_logit', see `layers.class_logit`.
    initializer: initial kernels, see `Generator`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((128,) * 4, 1, MOST_UNITS, lengths=NOT_EMPTY)
  strides: tuple[int, ...] = ranged((2, 2, 1, 1), 1, 2)
  wide: bool = True
  rectified: bool = False
  attention: tuple[int, ...] = ranged((), 1, MOST_BLOCKS, items=int)
  num_classes: int = 0
  conditioning: str = ranged('projection', one_of=layers.HEADS)
  initializer: str = ranged('glorot', one_of=layers.INITIALIZERS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, label=None, *, train: bool) -> jax.Array:
    del train
    _check_attention('discriminator', self.attention, len(self.widths))
    if len(self.strides) != len(self.widths):
      raise errors.UserError(
        f'discriminator.strides={self.strides} must have one entry for each of '
        f'discriminator.widths={self.widths}.'
      )
    for index, (features, stride) in enumerate(
      zip(self.widths, self.strides, strict=True)
    ):
      x = residual.DiscriminatorBlock(
        features,
        features if self.wide or not index else x.shape[-1],
        stride,
        not index,
        self.rectified,
        self.initializer,
        RESIDUAL.get(self.initializer, self.initializer),
        self.dtype,
      )(x)
      if index + 1 in self.attention:
        x = residual.SelfAttention(self.initializer, self.dtype)(x)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    x = jnp.sum(nn.relu(x), axis=(1, 2))
    self.sow('intermediates', 'features', x)
    dense = functools.partial(
      nn.Dense, kernel_init=layers.initializer(self.initializer)
    )
    if self.num_classes and self.conditioning == layers.CLASS_LOGIT:
      return layers.class_logit(self, dense, x, label)
    logits = dense(1)(x)[:, 0]
    if self.num_classes:
      switches.check_labels(label, self.num_classes)
      # The embeddings are columns, so spectral norm has the vectors of PyTorch.
      products = dense(self.num_classes, use_bias=False)(x)
      logits += jnp.take_along_axis(products, label[:, None], axis=1)[:, 0]
    return logits
