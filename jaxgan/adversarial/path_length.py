"""Path length regularisation of generators with styles.

Karras et al. 2020 (https://arxiv.org/abs/1912.04958), equation 4: with the
Jacobian J of the image with respect to w, and normal pixels y,

  E (|J^T y| - a)^2,

where a is the moving average of |J^T y|. So a step in w of fixed size changes
the image by a fixed size.

As in the authors' code, y is divided by the root of the number of pixels, and
|J^T y|^2 is a mean over layers. Half the batch is used, every second example.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial.terms import Scene
from jaxgan.core import axis, noise

NAME = 'path_length'
DECAY = 0.01  # share of the newest mean in the moving average
METHODS = ('map_latents', 'synthesize')  # of the generator


def lengths(synthesize: Callable, w: jax.Array, pixels: jax.Array) -> jax.Array:
  """Returns |J^T y| of each example, [B].

  Args:
    synthesize: maps w to images [B, H, W, C].
    w: [B, layers, D].
    pixels: y times the root of H * W, [B, H, W, C].
  """
  y = pixels / math.sqrt(math.prod(pixels.shape[1:3]))
  slope = jax.grad(lambda w: jnp.sum(synthesize(w) * y))(w)
  return jnp.sqrt(jnp.mean(jnp.sum(slope**2, axis=-1), axis=-1))


def penalty(values: jax.Array, mean: jax.Array):
  """Returns the mean penalty of lengths [B], and the next moving average."""
  mean += DECAY * (axis.mean(jnp.mean(values)) - mean)
  return jnp.mean((values - mean) ** 2), jax.lax.stop_gradient(mean)


def start(key) -> jax.Array:
  """Returns the first moving average, zero."""
  del key
  return jnp.zeros((), jnp.float32)


def path_length(scene: Scene, mean: jax.Array):
  """Returns the penalty of new images of the latents of a scene.

  Args:
    scene: forward pass of a generator with the methods `METHODS`.
    mean: moving average of the lengths.

  Returns:
    The penalty and the next moving average.
  """
  generate, inputs = scene.networks['generator'], (scene.z, *scene.fake[1:])
  if len(scene.z) % 2 == 0:
    inputs = tuple(x[::2] for x in inputs)
  elif axis.size() > 1:
    raise errors.UserError(
      f'path_length takes every second example, and each of {axis.size()} '
      f'devices has {len(scene.z)}. Set a batch_size that gives even numbers.'
    )
  keys = noise.keys(
    jax.random.fold_in(scene.keys['dropout'], 1), 'w', 'noise', 'pixels'
  )
  w = generate(*inputs, key=keys['w'], method=METHODS[0]).value

  def synthesize(w):
    return generate(w, key=keys['noise'], method=METHODS[1]).images

  shape = jax.eval_shape(synthesize, w).shape
  pixels = noise.normal(keys['pixels'], len(w), shape[1:])
  return penalty(lengths(synthesize, w, pixels), mean)
