"""The vision transformer of DINOv2 as a Flax module.

Oquab et al. 2023 (https://arxiv.org/abs/2304.07193) train the network of
Dosovitskiy et al. 2020 (https://arxiv.org/abs/2010.11929) with LayerScale
(Touvron et al. 2021, https://arxiv.org/abs/2103.17239, equation 4). Modules
have the names of the authors' code, by which weights are loaded.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

PATCH = 14  # pixels of a side
HEAD = 64  # numbers in the queries and keys of a head
HIDDEN = 4  # width of the hidden layer as a multiple
EPSILON = 1e-6  # of the norms

# GPUs and TPUs round factors by default, and distances would depend on the
# device.
_dense = functools.partial(nn.Dense, precision=lax.Precision.HIGHEST)
_norm = functools.partial(
  nn.LayerNorm, epsilon=EPSILON, use_fast_variance=False
)


class Attention(nn.Module):
  """Self-attention with heads of `HEAD` numbers: [B, N, D] to [B, N, D]."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    batch, num, width = x.shape
    x = _dense(3 * width, name='qkv')(x)
    query, key, value = jnp.moveaxis(
      x.reshape(batch, num, 3, width // HEAD, HEAD), 2, 0
    )
    product = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    logits = product('bqhd,bkhd->bhqk', query, key) / HEAD**0.5
    x = product('bhqk,bkhd->bqhd', nn.softmax(logits), value)
    return _dense(width, name='proj')(x.reshape(batch, num, width))


class Mlp(nn.Module):
  """Two layers with the exact GELU between them: [B, N, D] to [B, N, D]."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]
    x = nn.gelu(_dense(HIDDEN * width, name='fc1')(x), approximate=False)
    return _dense(width, name='fc2')(x)


class LayerScale(nn.Module):
  """Multiplies every channel of [B, N, D] by a learned number."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    gamma = self.param('gamma', nn.initializers.ones, x.shape[-1:])
    return x * gamma[None, None]


class Block(nn.Module):
  """Attention and MLP with residual connections: [B, N, D] to [B, N, D].

  The signature is that of `flax.linen.scan`: a carry, and no output.
  """

  @nn.compact
  def __call__(self, x: jax.Array, _) -> tuple[jax.Array, None]:
    update = Attention(name='attn')(_norm(name='norm1')(x))
    x = x + LayerScale(name='ls1')(update)
    update = Mlp(name='mlp')(_norm(name='norm2')(x))
    return x + LayerScale(name='ls2')(update), None


class VisionTransformer(nn.Module):
  """Maps images [B, H, W, 3] to the class token after the last norm, [B, D].

  Sides are multiples of `PATCH`. Parameters of the blocks are stacked along
  their first axis, so that one block is compiled.

  Attributes:
    width: numbers D in a token, a multiple of `HEAD`.
    depth: number of blocks.
  """

  width: int
  depth: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = nn.Conv(
      self.width,
      (PATCH, PATCH),
      PATCH,
      'VALID',
      precision=lax.Precision.HIGHEST,
      name='patch_embed',
    )(x)
    x = x.reshape(len(x), -1, self.width)
    zeros = nn.initializers.zeros
    first = self.param('cls_token', zeros, (1, 1, self.width))
    first = jnp.broadcast_to(first, (len(x), 1, self.width))
    x = jnp.concatenate([first, x], axis=1)
    x = x + self.param('pos_embed', zeros, (1, *x.shape[1:]))
    blocks = nn.scan(
      Block,
      variable_axes={'params': 0},
      split_rngs={'params': True},
      length=self.depth,
    )
    x, _ = blocks(name='blocks')(x, None)
    return _norm(name='norm')(x[:, 0])
