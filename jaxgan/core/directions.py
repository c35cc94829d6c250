"""Directions in latent space that change images most, without training.

Shen and Zhou 2021 (SeFa, https://arxiv.org/abs/2007.06600, section 3.2): a
generator first maps latents by a linear layer, y = A z + b. A step a n changes
y by a A n, for any z. The steps of length one that change y most are the
eigenvectors of A^T A with the largest eigenvalues. For styles w, A has the rows
of all layers that map w to the scales of channels.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxgan import errors


def factorize(kernel) -> tuple[np.ndarray, np.ndarray]:
  """Returns the directions of a layer, and how far each moves its output.

  Equation 5 of the paper, in closed form.

  Args:
    kernel: [Z, D], A transposed.

  Returns:
    Directions [Z, Z], rows of length one, orthogonal, the strongest first. The
    largest number of each is positive. Lengths [Z] of A n, falling.
  """
  kernel = np.asarray(kernel, np.float64)
  values, vectors = np.linalg.eigh(kernel @ kernel.T)
  directions = vectors.T[::-1]
  rows = np.arange(len(directions))
  signs = np.sign(directions[rows, np.abs(directions).argmax(axis=1)])
  lengths = np.sqrt(np.maximum(values[::-1], 0.0))
  return directions * signs[:, None], lengths


def style_kernel(params) -> np.ndarray:
  """Returns the kernels of all layers named 'style' side by side, [D, C].

  Learning rates are equalised, so each kernel has the same factor in the
  network, which changes no direction.

  Args:
    params: parameters of `stylegan2.Generator`.
  """
  flat = traverse_util.flatten_dict(params)
  names = sorted(path for path in flat if path[-2:] == ('style', 'kernel'))
  return np.concatenate([flat[name] for name in names], axis=1)


def first_layer(decode: Callable, z: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Finds the first dense layer that is wide enough to take all latents.

  Args:
    decode: maps latents [N, Z] to images by Flax modules.
    z: latents.

  Returns:
    The inputs [N, I] and the kernel [I, D] of the layer, with I >= Z.

  Raises:
    UserError: if there is no such layer.
  """
  calls = []

  def record(call, args, kwargs, context):
    output = call(*args, **kwargs)
    if (
      not calls
      and isinstance(context.module, nn.Dense)
      and args[0].shape[-1] >= z.shape[-1]
    ):
      calls.append((args[0], context.module.get_variable('params', 'kernel')))
    return output

  with nn.intercept_methods(record):
    decode(z)
  if not calls:
    raise errors.UserError(
      'no dense layer of this generator takes all latents, from which '
      'directions are found. Use another run.'
    )
  return calls[0]


def of_layer(z, inputs, kernel) -> tuple[np.ndarray, np.ndarray]:
  """Returns `factorize` of the part of a layer that latents meet.

  Args:
    z: latents [N, Z].
    inputs: inputs [N, I] of the layer. Labels may follow the latents.
    kernel: [I, D].

  Raises:
    UserError: if the inputs do not begin with the latents.
  """
  size = z.shape[-1]
  if not jnp.allclose(inputs[:, :size], z, atol=1e-5):
    raise errors.UserError(
      'the first dense layer of this generator does not see the latents as '
      'they are drawn, so that directions are unknown. Use another run.'
    )
  return factorize(kernel[:size])
