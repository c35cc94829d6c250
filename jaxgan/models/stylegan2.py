"""StyleGAN2: styles that modulate convolutions, and noise for every pixel.

Karras et al. 2019, https://arxiv.org/abs/1812.04948.
Karras et al. 2020, https://arxiv.org/abs/1912.04958.

Images have any size; small sides are rounded up. Learning rates are equalised,
see `layers.equalized`. A network that trains draws new noise in every call. All
other calls use fixed noise, which the state keeps.

  w = generator.apply(variables, z, train=False, method='map_latents')
  images = generator.apply(variables, w, train=False, method='synthesize')

In bfloat16, the stage with the smallest images is float32.
"""

import functools
import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.core import axis, noise, switches
from jaxgan.core.latents import Latents
from jaxgan.core.ranges import MOST_UNITS, ranged
from jaxgan.models.layers import equalized, norms, synthesis

LENGTHS = (1, 12)  # of widths
MOST_LAYERS = 64
AVERAGES = 'averages'  # collection of the mean of w


def truncate(w: jax.Array, average: jax.Array, psi: float) -> jax.Array:
  """Moves w towards its average: average + psi * (w - average).

  Karras et al. 2019 (https://arxiv.org/abs/1812.04948), section 2.3.

  Args:
    w: [B, ..., D].
    average: mean of w over latents, [D].
    psi: 1 changes nothing, and 0 makes all examples equal.
  """
  average = average.reshape(*(1,) * (w.ndim - 1), -1)
  return average + psi * (w - average)


class Generator(nn.Module):
  """Generates images [B, H, W, C] from latents [B, Z].

  A mapping network makes w from latents and labels. Each layer of the synthesis
  sees w as its style. Every further stage doubles the sides of a learned image.
  Pixels are not limited to (-1, 1). The defaults have 21,523,475 parameters for
  32 x 32 RGB pixels and 512 latents; with two layers of mapping 19,947,539, as
  the authors' preset `cifar`.

  The collection 'averages' has the moving average of w, of all labels together,
  and 'noise' has the fixed noise.

  Attributes:
    shape: (height, width, channels) of an image.
    widths: channels of every stage, the smallest images first.
    architecture: 'skip' adds up images of all stages (Karras et al. 2020,
      figure 7b), 'residual' adds up activations (figure 7c).
    mapping_layers: layers of the mapping network.
    style_size: size of w.
    multiplier: factor of the mapping network's learning rate.
    mixing: probability that a training image has the styles of two latents,
      one up to a random layer and one from there on (Karras et al. 2019,
      section 3.1).
    decay: decay of the moving average of w.
    truncation: psi of `truncate` in calls that do not train.
    fused: True for convolutions with a kernel for each image; False to scale
      the activations. See `layers.modulated`.
    clamp: limit of the size of activations, for 16 bits; 0 is off.
    latents: distribution of second latents; None is normal.
    num_classes: classes to condition on; 0 ignores labels.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  shape: tuple[int, ...]
  widths: tuple[int, ...] = ranged((512,) * 4, 1, MOST_UNITS, lengths=LENGTHS)
  architecture: str = ranged('skip', one_of=('skip', 'residual'))
  mapping_layers: int = ranged(8, 1, MOST_LAYERS)
  style_size: int = ranged(512, 1, MOST_UNITS)
  multiplier: float = ranged(0.01, above=0)
  mixing: float = ranged(0.0, 0, 1)
  decay: float = ranged(0.995, 0, 1)
  truncation: float = ranged(1.0, 0)
  fused: bool = False
  clamp: float = ranged(0.0, 0)
  latents: Latents | None = None
  num_classes: int = 0
  dtype: jnp.dtype | None = None

  def setup(self):
    self.mapping = equalized.Mapping(
      self.style_size, self.mapping_layers, self.multiplier, self.num_classes
    )
    self.synthesis = synthesis.Synthesis(
      self.shape,
      self.widths,
      self.architecture,
      self.fused,
      self.clamp,
      self.dtype,
    )
    self.average = self.variable(
      AVERAGES, 'w', jnp.zeros, (self.style_size,), jnp.float32
    )

  @property
  def layers(self) -> int:
    """Number of layers of the synthesis that see w."""
    return 2 * len(self.widths)

  def __call__(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    return self.synthesize(self.map_latents(z, label, train=train), train=train)

  def map_latents(self, z: jax.Array, label=None, *, train: bool) -> jax.Array:
    """Returns w of each layer [B, layers, D], mixed or truncated."""
    if self.num_classes:
      switches.check_labels(label, self.num_classes)
    w = self.mapping(z, label)
    is_kept = train and self.is_mutable_collection(AVERAGES)
    if is_kept and not self.is_initializing():
      mean = jax.lax.stop_gradient(axis.mean(jnp.mean(w, axis=0)))
      self.average.value = mean + self.decay * (self.average.value - mean)
    if not train and switches.is_on(self.truncation - 1.0):
      w = truncate(w, self.average.value, self.truncation)
    layers = jnp.repeat(w[:, None], self.layers, axis=1)
    if train and switches.is_on(self.mixing):
      return self._mixed(layers, z, label)
    return layers

  def _mixed(self, w: jax.Array, z: jax.Array, label) -> jax.Array:
    """Replaces w [B, layers, D] of later layers by those of new latents."""
    keys = noise.keys(self.make_rng('dropout'), 'latents', 'mixing', 'layer')
    count = len(z)
    if self.latents is None:
      other = noise.normal(keys['latents'], count, z.shape[1:])
    else:
      other = self.latents.sample(keys['latents'], count)
    is_mixed = noise.uniform(keys['mixing'], count) < self.mixing
    share = noise.uniform(keys['layer'], count)
    first = 1 + jnp.floor(share * (self.layers - 1)).astype(int)
    first = jnp.where(is_mixed, first, self.layers)
    is_other = jnp.arange(self.layers)[None] >= first[:, None]
    other = self.mapping(other.astype(z.dtype), label)[:, None]
    return jnp.where(is_other[..., None], other, w)

  def synthesize(self, w: jax.Array, *, train: bool) -> jax.Array:
    """Returns images [B, H, W, C] of w [B, layers, D]."""
    return self.synthesis(w, train=train)


class Discriminator(nn.Module):
  """Discriminates images [B, H, W, C]: logits [B], positive for real.

  Every further stage halves the sides. The deviation within groups of the batch
  is one more channel of the smallest images. With classes, the logit is the
  inner product of features with a mapping of the label. The defaults have
  21,507,073 parameters for 32 x 32 RGB pixels; with 'orig' 20,720,641, as the
  authors' preset `cifar`.

  Sows 'features' [B, D] into 'intermediates'.

  Attributes:
    widths: channels of every stage, the largest images first.
    architecture: 'residual' (Karras et al. 2020, figure 7c), or 'orig' without
      shortcuts (figure 7a).
    group: most images in a group, see `norms.MinibatchStddev`; 0 is off.
    mapping_layers: layers of the mapping of labels.
    multiplier: factor of the mapping's learning rate.
    clamp: see `Generator`.
    num_classes: classes to condition on; 0 ignores labels.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((512,) * 4, 1, MOST_UNITS, lengths=LENGTHS)
  architecture: str = ranged('residual', one_of=('orig', 'residual'))
  group: int = ranged(
    4, 0, MOST_UNITS, rule=lambda n: n != 1, message='must be 0 or at least 2'
  )
  mapping_layers: int = ranged(8, 1, MOST_LAYERS)
  multiplier: float = ranged(0.01, above=0)
  clamp: float = ranged(0.0, 0)
  num_classes: int = 0
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, label=None, *, train: bool) -> jax.Array:
    del train
    is_residual, last = self.architecture == 'residual', self.widths[-1]
    gain = equalized.HALF if is_residual else 1.0
    conv = functools.partial(equalized.Conv, clamp=self.clamp)
    own = dict(dtype=self.dtype if len(self.widths) > 1 else None)
    x = conv(self.widths[0], 1, **own, name='image')(x)
    for index, (width, narrow) in enumerate(itertools.pairwise(self.widths)):
      before = x
      x = conv(width, 3, **own, name=f'conv_{index}')(x)
      x = conv(narrow, 3, halves=True, gain=gain, **own, name=f'down_{index}')(
        x
      )
      if is_residual:
        x = x + equalized.Conv(
          narrow,
          1,
          halves=True,
          is_activated=False,
          gain=gain,
          **own,
          name=f'skip_{index}',
        )(before)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if self.group:
      x = norms.MinibatchStddev(self.group)(x)
    x = conv(last, 3, name='last')(x).reshape(len(x), -1)
    x = equalized.Linear(last, is_activated=True, name='hidden')(x)
    self.sow('intermediates', 'features', x)
    if not self.num_classes:
      return equalized.Linear(1, name='logits')(x)[:, 0]
    switches.check_labels(label, self.num_classes)
    vector = equalized.Mapping(
      last,
      self.mapping_layers,
      self.multiplier,
      self.num_classes,
      name='labels',
    )(None, label)
    x = equalized.Linear(last, name='logits')(x)
    return jnp.sum(x * vector, axis=-1) / math.sqrt(last)
