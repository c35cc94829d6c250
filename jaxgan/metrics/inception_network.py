"""InceptionV3 as a Flax module.

Figures are those of Szegedy et al. 2015 (https://arxiv.org/abs/1512.00567).
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

NUM_FEATURES = 2048
NUM_CLASSES = 1008


class Conv(nn.Module):
  """Convolution, batch norm by stored statistics and ReLU of [B, H, W, C].

  Attributes:
    features: channels of the output.
    kernel: height and width of the kernel.
    stride: stride of the convolution.
    padding: 'SAME' or 'VALID'.
  """

  features: int
  kernel: tuple[int, int] = (1, 1)
  stride: int = 1
  padding: str = 'SAME'

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = nn.Conv(
      self.features,
      self.kernel,
      self.stride,
      self.padding,
      use_bias=False,
      # GPUs and TPUs round factors by default, and distances would depend on
      # the device.
      precision=lax.Precision.HIGHEST,
      name='conv',
    )(x)
    x = nn.BatchNorm(use_running_average=True, epsilon=1e-3, name='bn')(x)
    return nn.relu(x)


def _chain(x, name, *convs):
  """Applies convolutions in sequence, with names `name`_1, `name`_2, ..."""
  for number, (features, *kernel) in enumerate(convs, 1):
    x = Conv(features, tuple(kernel), name=f'{name}_{number}')(x)
  return x


def _average(x):
  return nn.avg_pool(x, (3, 3), padding='SAME', count_include_pad=False)


def _maximum(x):
  return nn.max_pool(x, (3, 3), padding='SAME')


def _halve(x):
  return nn.max_pool(x, (3, 3), (2, 2))


def _join(*branches):
  return jnp.concatenate(branches, axis=-1)


class InceptionA(nn.Module):
  """Figure 5: [B, H, W, C] to [B, H, W, 224 + pool_features]."""

  pool_features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    return _join(
      Conv(64, name='branch1x1')(x),
      _chain(x, 'branch5x5', (48, 1, 1), (64, 5, 5)),
      _chain(x, 'branch3x3dbl', (64, 1, 1), (96, 3, 3), (96, 3, 3)),
      Conv(self.pool_features, name='branch_pool')(_average(x)),
    )


class InceptionB(nn.Module):
  """Figure 10: [B, H, W, C] of odd sizes to [B, H // 2, W // 2, 480 + C]."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    double = _chain(x, 'branch3x3dbl', (64, 1, 1), (96, 3, 3))
    return _join(
      Conv(384, (3, 3), 2, 'VALID', name='branch3x3')(x),
      Conv(96, (3, 3), 2, 'VALID', name='branch3x3dbl_3')(double),
      _halve(x),
    )


class InceptionC(nn.Module):
  """Figure 6 with n = 7: [B, H, W, C] to [B, H, W, 768].

  Attributes:
    width: channels inside the two branches of 7 x 7 pixels.
  """

  width: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    inner, across, down = (self.width, 1, 1), (1, 7), (7, 1)
    return _join(
      Conv(192, name='branch1x1')(x),
      _chain(x, 'branch7x7', inner, (self.width, *across), (192, *down)),
      _chain(
        x,
        'branch7x7dbl',
        inner,
        (self.width, *down),
        (self.width, *across),
        (self.width, *down),
        (192, *across),
      ),
      Conv(192, name='branch_pool')(_average(x)),
    )


class InceptionD(nn.Module):
  """Reduction: [B, H, W, C] of odd sizes to [B, H // 2, W // 2, 512 + C]."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    three = _chain(x, 'branch3x3', (192, 1, 1))
    seven = _chain(x, 'branch7x7x3', (192, 1, 1), (192, 1, 7), (192, 7, 1))
    return _join(
      Conv(320, (3, 3), 2, 'VALID', name='branch3x3_2')(three),
      Conv(192, (3, 3), 2, 'VALID', name='branch7x7x3_4')(seven),
      _halve(x),
    )


class InceptionE(nn.Module):
  """Figure 7: [B, H, W, C] to [B, H, W, 2048].

  Attributes:
    pool: pooling of the last branch, [B, H, W, C] to [B, H, W, C].
  """

  pool: Callable = _average

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    three = _chain(x, 'branch3x3', (384, 1, 1))
    double = _chain(x, 'branch3x3dbl', (448, 1, 1), (384, 3, 3))
    return _join(
      Conv(320, name='branch1x1')(x),
      Conv(384, (1, 3), name='branch3x3_2a')(three),
      Conv(384, (3, 1), name='branch3x3_2b')(three),
      Conv(384, (1, 3), name='branch3x3dbl_3a')(double),
      Conv(384, (3, 1), name='branch3x3dbl_3b')(double),
      Conv(192, name='branch_pool')(self.pool(x)),
    )


class InceptionV3(nn.Module):
  """Maps images [B, 299, 299, 3] in [-1, 1] to a dictionary of features.

  'pool' [B, 2048] are the averaged last features, for the Frechet distance.
  'logits' are [B, 1008]. 'logits_unbiased' [B, 1008] are the logits without the
  bias of the last layer, for the Inception Score: the code of Salimans et al.
  omits this bias.
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
    x = Conv(32, (3, 3), 2, 'VALID', name='Conv2d_1a_3x3')(x)
    x = Conv(32, (3, 3), 1, 'VALID', name='Conv2d_2a_3x3')(x)
    x = Conv(64, (3, 3), name='Conv2d_2b_3x3')(x)
    x = _halve(x)  # [B, 73, 73, 64]
    x = Conv(80, name='Conv2d_3b_1x1')(x)
    x = Conv(192, (3, 3), 1, 'VALID', name='Conv2d_4a_3x3')(x)
    x = _halve(x)  # [B, 35, 35, 192]
    x = InceptionA(32, name='Mixed_5b')(x)
    x = InceptionA(64, name='Mixed_5c')(x)
    x = InceptionA(64, name='Mixed_5d')(x)
    x = InceptionB(name='Mixed_6a')(x)  # [B, 17, 17, 768]
    x = InceptionC(128, name='Mixed_6b')(x)
    x = InceptionC(160, name='Mixed_6c')(x)
    x = InceptionC(160, name='Mixed_6d')(x)
    x = InceptionC(192, name='Mixed_6e')(x)
    x = InceptionD(name='Mixed_7a')(x)  # [B, 8, 8, 1280]
    x = InceptionE(name='Mixed_7b')(x)
    x = InceptionE(_maximum, name='Mixed_7c')(x)
    pool = jnp.mean(x, axis=(1, 2))
    last = nn.Dense(NUM_CLASSES, precision=lax.Precision.HIGHEST, name='fc')
    logits = last(pool)
    return {
      'pool': pool,
      'logits': logits,
      'logits_unbiased': logits - last.variables['params']['bias'][None],
    }
