"""Networks that map images to images, with averaged weights.

Running statistics are averaged together with the weights. A single image can
therefore be translated.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.core import ema as ema_lib
from jaxgan.core import state as state_lib
from jaxgan.core.state import TrainState

CHUNK = 50  # held-out images per batch


def export_function(method, state: TrainState, name: str, shape):
  """Returns the exported parts of a network; see `jaxgan.steps`."""
  function = state_lib.inference(getattr(method, name))
  weights = ema_lib.variables(state, name)
  return function, weights, {'image': jnp.zeros((1, *shape))}


def translate(method, state: TrainState, name: str, image, key):
  """Applies a network with averaged weights to images.

  Args:
    method: the parts that never change.
    state: a state.
    name: name of the network.
    image: [N, H, W, C] in [-1, 1].
    key: PRNG key of dropout, for networks with dropout at test time.
  """
  stats = ema_lib.variables(state, name)
  params = stats.pop('params')
  module = getattr(method, name)
  return state_lib.apply(module, params, stats, image, train=False, key=key)[0]


def there_and_back(method, state: TrainState, names, start, key):
  """Returns a list: images, translations, and images translated back.

  Args:
    method: the parts that never change.
    state: a state.
    names: names of the generators, there and back.
    start: images [N, H, W, C] in [-1, 1].
    key: PRNG key of dropout.
  """
  images = [start]
  for name, part in zip(names, jax.random.split(key), strict=True):
    images.append(translate(method, state, name, images[-1], part))
  return images


def mean_over_pairs(function: Callable, batch):
  """Returns mean scores over held-out pairs.

  Args:
    function: (key, image, source) of one pair -> a tree of scalars.
    batch: 'image' and 'source' [N, ...]; `CHUNK` pairs are scored at a time.
  """
  pairs = {name: batch[name] for name in ('image', 'source')}
  keys = jax.random.split(jax.random.key(0), len(batch['image']))
  scores = jax.lax.map(
    lambda row: function(row[0], **row[1]), (keys, pairs), batch_size=CHUNK
  )
  return jax.tree.map(jnp.mean, scores)


def rows(*images):
  """Returns rows [rows, N, H, W, C] for a grid; grey images become RGB."""
  channels = max(x.shape[-1] for x in images)
  return jnp.stack(
    [jnp.broadcast_to(x, (*x.shape[:-1], channels)) for x in images]
  )
