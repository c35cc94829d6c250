"""How smoothly images change along ways through latent space."""

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
  """Squared speed of features on the way from one latent to another.

  Karras et al. 2019 (https://arxiv.org/abs/1812.04948), section 4.1: the
  perceptual path length is the mean over random ways and places of

    d(g(way(t)), g(way(t + e))) / e^2,   d = |f(x) - f(x')|^2.

  This is its limit of small e, by forward differentiation: no e to choose and
  no digits lost to it (they take 1e-4). Their code leaves out the lowest and
  the highest percent before the mean. At least 0; comparable for one feature
  function alone. Two passes forward.

  Args:
    decode: latents [N, Z] to images [N, ...]; a function that rounds, such as
      one to uint8, stands still almost everywhere.
    features: images to features [N, ...], such as activations scaled as in
      LPIPS.
    starts: latents [N, Z].
    ends: latents [N, Z].
    shares: where on the way, [N] in [0, 1].
    kind: of latents, a key of `interpolate.WAYS`: arcs for 'normal' and
      'sphere', straight lines for 'uniform'.

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
  way, _ = interpolation.WAYS[kind]
  starts, ends = jnp.asarray(starts), jnp.asarray(ends)
  look = lambda t: features(decode(way(starts, ends, t)))
  _, speed = jax.jvp(look, (shares,), (jnp.ones_like(shares),))
  return jnp.sum(speed.reshape(len(shares), -1) ** 2, axis=1)
