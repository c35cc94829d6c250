"""Spectral normalisation of the kernels of a module."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import traverse_util

SPECTRAL = 'spectral'  # a collection
TABLE = 'table'  # name of parameters that stay as they are


class SpectralNorm(nn.Module):
  """Divides kernels by estimates of their largest singular values.

  Miyato et al. 2018, https://arxiv.org/abs/1802.05957, algorithm 1. For each
  kernel as a matrix W, inputs times outputs, the collection 'spectral' holds
  unit vectors u and v. The estimate is v^T W u, and u and v are constants in
  its gradient. A call that trains does one power iteration first:

    v <- W u / |W u|,    u <- W^T v / |W^T v|.

  Parameters named 'table' are not divided: BigGAN's embeddings of labels in a
  generator (Brock et al. 2018, https://arxiv.org/abs/1809.11096).

  All other calls take u and v as they are, as `torch.nn.utils.spectral_norm`.
  A call trains if train=True and 'spectral' is mutable. The update of a network
  keeps the vectors of its calls, in turn. The calls of other networks' updates
  and of penalties iterate from the kept vectors and keep nothing.

  Attributes:
    module: a module with `__call__(*inputs, train)`.
    always: True to iterate in all calls, as runs of formats before 3. The
      collection then holds u and the estimate.
  """

  module: nn.Module
  always: bool = False

  @nn.compact
  def __call__(self, *inputs, train: bool):
    iterates = train and self.is_mutable_collection(SPECTRAL)
    if self.always:
      normed = nn.SpectralNorm(self.module, collection_name=SPECTRAL)
      return normed(*inputs, update_stats=iterates, train=train)

    def divide(variables):
      flat = traverse_util.flatten_dict(variables)
      divided = {
        path: self._divided('/'.join(path[1:]), kernel, iterates)
        if kernel.ndim > 1 and path[-1] != TABLE
        else kernel
        for path, kernel in flat.items()
      }
      return traverse_util.unflatten_dict(divided)

    def call(module):
      return module(*inputs, train=train)

    mapped = nn.map_variables(
      call, trans_in_fn=divide, init=self.is_initializing(), mutable=True
    )
    return mapped(self.module)

  def _divided(self, name: str, kernel: jax.Array, iterates: bool) -> jax.Array:
    """Returns a kernel over its estimate; initial kernels stay as they are."""
    matrix = kernel.reshape(-1, kernel.shape[-1])

    def iteration(u):
      v = _unit(matrix @ u)
      return {'u': _unit(v @ matrix), 'v': v}

    def start():
      key = self.make_rng('params')
      return iteration(jax.random.normal(key, matrix.shape[1:]))

    vectors = self.variable(SPECTRAL, name, start)
    if self.is_initializing():
      return kernel
    if iterates:
      vectors.value = jax.lax.stop_gradient(iteration(vectors.value['u']))
    estimate = vectors.value['v'] @ matrix @ vectors.value['u']
    return kernel / jnp.where(estimate == 0.0, 1.0, estimate)


def _unit(x: jax.Array) -> jax.Array:
  return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)
