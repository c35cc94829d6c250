"""A small convolutional classifier, which yields features for metrics."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.core.ranges import MOST_KERNEL, MOST_UNITS, ranged
from jaxgan.models.layers import layers, norms


class ConvNet(nn.Module):
  """Classifies images [B, H, W, C]: logits [B, num_classes].

  Each width is a convolution of stride 2 with batch norm and a rectifier. A
  dense layer follows; its rectified units are sown as 'features' [B, features]
  into 'intermediates'.

  Attributes:
    widths: channels of the convolutions.
    kernel: side of the kernels.
    features: units of the dense layer.
    dropout: rate before the last layer.
    momentum: decay of running statistics.
    num_classes: classes of the data.
    dtype: dtype of hidden layers, see `jaxgan.models`.
  """

  widths: tuple[int, ...] = ranged((32, 64), 1, MOST_UNITS)
  kernel: int = ranged(5, 1, MOST_KERNEL)
  features: int = ranged(128, 1, MOST_UNITS)
  dropout: float = ranged(0.0, 0, below=1)
  momentum: float = ranged(0.9, 0, below=1)
  num_classes: int = 10
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    def norm(x):
      return norms.norm(
        'batch',
        train=train,
        momentum=self.momentum,
        dtype=self.dtype,
      )(x)

    fields = dict(use_bias=False, dtype=self.dtype)
    for width in self.widths:
      x = layers.Conv(width, self.kernel, stride=2, **fields)(x)
      x = nn.relu(norm(x))
    x = x.reshape(len(x), -1)
    x = nn.relu(norm(nn.Dense(self.features, **fields)(x)))
    self.sow('intermediates', 'features', x)
    x = layers.Dropout(self.dropout)(x, active=train)
    return nn.Dense(self.num_classes)(x)
