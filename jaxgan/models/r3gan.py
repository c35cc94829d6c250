"""R3GAN: residual networks of grouped convolutions, without norms.

Huang et al. 2024, https://arxiv.org/abs/2501.05441.

Images have any size; small sides are rounded up. In bfloat16, the stage with
the smallest images is float32, as in the authors' code.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import switches
from jaxgan.core.ranges import MOST_KERNEL, MOST_UNITS, ranged
from jaxgan.models.layers import layers, resnext

MOST_STAGES = 12
MOST_BLOCKS = 64
LENGTHS = (1, MOST_STAGES)


def is_filter(weights) -> bool:
  is_odd = len(weights) % 2 == 1
  return is_odd and tuple(weights) == tuple(weights)[::-1] and sum(weights) > 0


FILTER = 'must be of odd length, the same from both ends, as (1.0, 2.0, 1.0)'


def _check_stages(player: str, module: nn.Module) -> None:
  """Raises a UserError for fields of stages that do not fit each other."""
  for name in ('blocks', 'cardinality'):
    values = getattr(module, name)
    if len(values) != len(module.widths):
      raise errors.UserError(
        f'{player}.{name}={tuple(values)} must have one entry for each of '
        f'{player}.widths={tuple(module.widths)}.'
      )
  for width, groups in zip(module.widths, module.cardinality, strict=True):
    if width * module.expansion % groups:
      raise errors.UserError(
        f'{player}.cardinality={groups} does not divide the '
        f'{width * module.expansion} channels of a block, {width} of '
        f'{player}.widths times {player}.expansion={module.expansion}.'
      )


def _blocks(module: nn.Module):
  """Returns a function that applies the blocks of a stage to images."""
  gain = resnext.GAIN * sum(module.blocks) ** -0.25

  def apply(x, index: int, dtype):
    for _ in range(module.blocks[index]):
      x = resnext.Block(
        module.cardinality[index],
        module.expansion,
        module.kernel,
        gain,
        dtype,
      )(x)
    return x

  return apply


def _linear(features: int, **fields):
  """Returns a product for channels, a child of the calling module."""
  fields = {'kernel_init': resnext.scaled(), **fields}
  layer = nn.Dense(features, use_bias=False, **fields)
  return lambda x: layers.flat(layer, x)


class Generator(nn.Module):
  """Generates images [B, H, W, C] from latents [B, Z].

  Latents, with an embedding of the label, scale the channels of a learned small
  image. Every further stage doubles its sides. Pixels are not limited to
  (-1, 1). The defaults are those for CIFAR-10: 20,732,160 parameters for 32 x
  32 RGB pixels and 64 latents, and 20,781,952 with ten classes.

  Attributes:
    shape: (height, width, channels) of an image.
    widths: channels of every stage, the smallest images first.
    blocks: residual blocks of every stage.
    cardinality: groups of channels in the blocks of every stage.
    expansion: channels within a block, as a multiple of those of its stage.
    kernel: side of the grouped kernels.
    resampling: filter of odd length that doubles the sides.
    embedding: size of the embedding of labels.
    num_classes: classes to condition on; 0 ignores labels.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged((768,) * 4, 1, MOST_UNITS, lengths=LENGTHS)
  blocks: tuple[int, ...] = ranged((2,) * 4, 1, MOST_BLOCKS)
  cardinality: tuple[int, ...] = ranged((96,) * 4, 1, MOST_UNITS)
  expansion: int = ranged(2, 1, 64)
  kernel: int = ranged(3, 1, MOST_KERNEL)
  resampling: tuple[float, ...] = ranged(
    (1.0, 2.0, 1.0), 0, rule=is_filter, message=FILTER
  )
  embedding: int = ranged(64, 1, MOST_UNITS)
  num_classes: int = 0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    del train
    _check_stages('generator', self)
    *sides, channels = self.shape
    last = len(self.widths) - 1
    sizes = [
      tuple(-(-side // 2 ** (last - index)) for side in sides)
      for index in range(last + 1)
    ]
    if self.num_classes:
      switches.check_labels(label, self.num_classes)
      vector = jax.nn.one_hot(label, self.num_classes, dtype=z.dtype)
      vector = _linear(self.embedding, name='labels')(vector)
      z = jnp.concatenate([z, vector], axis=-1)
    shape = (*sizes[0], self.widths[0])
    basis = self.param(
      'basis', nn.initializers.normal(1.0), shape, layers.PARAM
    )
    x = _linear(self.widths[0], name='latents')(z)
    x = x[:, None, None] * basis[None]
    apply_blocks = _blocks(self)
    for index, width in enumerate(self.widths):
      dtype = self.dtype if index else None
      if index:
        x = x.astype(dtype or x.dtype)
        if width != x.shape[-1]:
          x = _linear(width, dtype=dtype)(x)
        x = resnext.enlarge(x, sizes[index], self.resampling)
      x = apply_blocks(x, index, dtype)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return _linear(channels, name='image')(x)


class Discriminator(nn.Module):
  """Discriminates images [B, H, W, C]: logits [B], positive for real.

  Every further stage halves the sides. Features are sums over the last pixels
  of each channel, weighted by a learned image. With classes, the logit is the
  inner product of a linear function of the features with an embedding of the
  label. The defaults are those for CIFAR-10: 20,683,776 parameters for 32 x 32
  RGB pixels; 21,280,512 with ten classes.

  Sows 'features' [B, D] into 'intermediates'.

  Attributes:
    widths: channels of every stage, the largest images first.
    blocks, cardinality, expansion, kernel, resampling: see `Generator`.
    embedding: size of the embedding of labels.
    num_classes: classes to condition on; 0 ignores labels.
    conditioning: 'projection', or 'class_logit', see `layers.class_logit`.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((768,) * 4, 1, MOST_UNITS, lengths=LENGTHS)
  blocks: tuple[int, ...] = ranged((2,) * 4, 1, MOST_BLOCKS)
  cardinality: tuple[int, ...] = ranged((96,) * 4, 1, MOST_UNITS)
  expansion: int = ranged(2, 1, 64)
  kernel: int = ranged(3, 1, MOST_KERNEL)
  resampling: tuple[float, ...] = ranged(
    (1.0, 2.0, 1.0), 0, rule=is_filter, message=FILTER
  )
  embedding: int = ranged(768, 1, MOST_UNITS)
  num_classes: int = 0
  conditioning: str = ranged('projection', one_of=layers.HEADS)
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, label=None, *, train: bool) -> jax.Array:
    del train
    _check_stages('discriminator', self)
    last, apply_blocks = len(self.widths) - 1, _blocks(self)
    before = self.dtype if last else None
    x = _linear(self.widths[0], dtype=before, name='image')(x)
    for index, width in enumerate(self.widths):
      if index:
        x = resnext.reduce(x, self.resampling)
        if width != x.shape[-1]:
          x = _linear(width, dtype=self.dtype)(x)
      if index == last:
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
      x = apply_blocks(x, index, self.dtype if index < last else None)
    _, height, width, channels = x.shape
    init = nn.initializers.normal((height * width) ** -0.5)
    shape = (height, width, channels)
    basis = self.param('basis', init, shape, layers.PARAM)
    x = jnp.einsum('bhwc,hwc->bc', x, basis)
    self.sow('intermediates', 'features', x)
    if not self.num_classes:
      return _linear(1, name='logits')(x)[:, 0]
    if self.conditioning == layers.CLASS_LOGIT:
      dense = functools.partial(_linear, name='logits')
      return layers.class_logit(self, dense, x, label)
    switches.check_labels(label, self.num_classes)
    x = _linear(self.embedding, name='logits')(x)
    vector = jax.nn.one_hot(label, self.num_classes, dtype=x.dtype)
    init = resnext.scaled(self.embedding**-0.5)
    vector = _linear(self.embedding, kernel_init=init, name='labels')(vector)
    return jnp.sum(x * vector, axis=-1)
