"""Perceptual path length: change of images along paths in latent space."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.core import interpolation
from jaxgan.metrics import check


def path_length(
  decode: Callable,
  features: Callable,
  starts: jax.Array,
  ends: jax.Array,
  shares: jax.Array,
  kind: str = 'normal',
) -> jax.Array:
  """Squared speed of features on the path from one latent to another.

  Karras et al. 2019 (https://arxiv.org/abs/1812.04948), section 4.1: the
  perceptual path length is the mean over random paths and positions t of

    d(g(path(t)), g(path(t + e))) / e^2,   d = |f(x) - f(x')|^2.

  The limit of small e is computed by forward differentiation, without the
  rounding of a finite e (1e-4 in the paper). The authors' code drops the lowest
  and the highest percent before the mean. At least 0. Compare values of the
  same feature function only. Costs two forward passes.

  Args:
    decode: maps latents [N, Z] to images [N, ...]. It must not round, for
      example to uint8, because the derivative would be 0.
    features: maps images to features [N, ...], such as activations scaled as in
      LPIPS.
    starts: latents [N, Z].
    ends: latents [N, Z].
    shares: positions on the paths, [N] in [0, 1].
    kind: distribution of the latents, a key of `latents.WAYS`: arcs for
      'normal' and 'sphere', straight lines for 'uniform'.

  Returns:
    [N].

  Raises:
    UserError: for an unknown kind, or different shapes.
  """
  if kind not in interpolation.WAYS:
    raise errors.unknown('kind', kind, interpolation.WAYS)
  starts, ends = check.features(least=1, starts=starts, ends=ends)
  shares = jnp.asarray(shares, jnp.float32)
  check.paired(starts=starts, ends=ends, shares=shares)
  path, _ = interpolation.WAYS[kind]
  starts, ends = jnp.asarray(starts), jnp.asarray(ends)
  features_at = lambda t: features(decode(path(starts, ends, t)))
  _, speed = jax.jvp(features_at, (shares,), (jnp.ones_like(shares),))
  return jnp.sum(speed.reshape(len(shares), -1) ** 2, axis=1)
