"""Diffusion transformers (DiT) as generators and discriminators, for AFM.

DiT: Peebles and Xie 2022, https://arxiv.org/abs/2212.09748, section 3.2, with
adaLN-zero. AFM: Lin et al. 2025, https://arxiv.org/abs/2511.22475. The
generator's latents are noise of the shape of an image, and the discriminator
is the same network with a class token. The paper trains on 32 x 32 x 4 latents
of an autoencoder. Pixels are the same network with other channels.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.core.ranges import ranged
from jaxgan.models.layers import dit, layers
from jaxgan.models.layers import transformer as parts
from jaxgan.models.layers import transformer_heads as ends

# Size -> (blocks, width, heads), of generators and discriminators.
SIZES = {
  'B': (12, 768, 12),
  'M': (16, 1024, 16),
  'L': (24, 1024, 16),
  'XL': (28, 1152, 16),
}
PREDICTIONS = ('image', 'velocity')


class Generator(dit.Transformer):
  """Maps noise [B, H * W * C] to images [B, H, W, C], in one step.

  The latents are an image of noise, row by row. Pixels are not limited to
  (-1, 1). An any-step model maps an image x_s of time s to an image of time t,
  where x_t = (1 - t) x + t n has the share t of noise n. The defaults are those
  of AFM-B/2. Parameters are the published ones: 130, 306, 457 and 673 million
  with the fixed positions.

  Attributes:
    shape: (height, width, channels) of an image.
    predicts: 'image', or 'velocity' for x_s - (s - t) times the output of the
      network.
  """

  shape: tuple[int, ...] = ()
  predicts: str = ranged('image', one_of=PREDICTIONS)

  @nn.compact
  def __call__(self, z: jax.Array, label=None, times=None, *, train: bool):
    """Returns images.

    Args:
      z: noise, or images x_s of any-step models, [B, H * W * C].
      label: classes [B], of networks with classes.
      times: s and t [B, 2] of any-step models; None is (1, 0).
      train: has no effect.
    """
    del train
    ends.check('generator', self)
    source = z.reshape(-1, *self.shape)
    if times is None:
      times = jnp.broadcast_to(jnp.array([[1.0, 0.0]]), (z.shape[0], 2))
    both = (times[:, 0], times[:, 1]) if self.times else ()
    c = dit.Condition(self.width, self.num_classes)(z.shape[0], label, both)
    x = self.blocks(self.tokens(source), c)
    shift, scale = dit.modulation(c, 2, self.width, self.dtype)
    x = ends.wide(parts.modulated(dit.norm(self.dtype)(x), shift, scale))
    size = self.patch**2 * self.shape[-1]
    last = nn.Dense(size, kernel_init=dit.zeros, name='last')
    image = parts.image_of(layers.flat(last, x), self.shape, self.patch)
    if self.predicts == 'image':
      return image
    length = (times[:, 0] - times[:, 1]).reshape(-1, 1, 1, 1)
    return source - length * image


class Discriminator(dit.Transformer):
  """Discriminates images [B, H, W, C]: logits [B], positive for real.

  The logit is a linear function of a class token. It does not depend on the
  images at first, because blocks begin as the identity. Sows 'features' [B, C],
  the norm of that token, into 'intermediates'. The defaults are those of
  AFM-B/2.
  """

  @nn.compact
  def __call__(self, x: jax.Array, label=None, times=None, *, train: bool):
    """Returns logits.

    Args:
      x: images, or images x_t of any-step models.
      label: classes [B], of networks with classes.
      times: s and t [B, 2], of which the network sees t; None is (1, 0).
      train: has no effect.
    """
    del train
    ends.check('discriminator', self)
    time = jnp.zeros(x.shape[0]) if times is None else times[:, 1]
    c = dit.Condition(self.width, self.num_classes)(
      x.shape[0], label, (time,) if self.times else ()
    )
    x = self.tokens(x)
    first = self.param('class', parts.embedded, (1, self.width), layers.PARAM)
    first = jnp.broadcast_to(
      first[None].astype(x.dtype), (x.shape[0], 1, *x.shape[2:])
    )
    x = self.blocks(jnp.concatenate([first, x], axis=1), c)[:, 0]
    x = ends.wide(dit.norm(self.dtype)(x))
    self.sow('intermediates', 'features', x)
    # As in PyTorch: uniform up to 1 / sqrt(C).
    init = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')
    return nn.Dense(1, use_bias=False, kernel_init=init, name='logits')(x)[:, 0]
