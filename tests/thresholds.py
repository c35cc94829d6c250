"""Short trainings of default configs, whose scores tests compare to numbers."""

import jax
import numpy as np
from runs import ROOT, module

from jaxgan import data, steps
from jaxgan.core.pixels import to_uint8
from jaxgan.data import derived
from jaxgan.metrics import frechet, random_features
from jaxgan.training import on_arrays

SAMPLES = 1_000


def train(name, rounds, **changed):
  """Trains a config on its data.

  Args:
    name: file in `configs`.
    rounds: number of rounds.
    **changed: fields that differ, by dotted name.

  Returns:
    The algorithm, the method, the state, and held-out examples.
  """
  config = module(ROOT / 'configs' / f'{name}.py').get_config()
  config.num_steps = rounds
  config.update_from_flattened_dict(changed)
  dataset = data.load(config.data)
  algorithm = steps.find(config.method)
  method = algorithm.from_config(config, dataset.spec)
  run = on_arrays.trainer(
    algorithm,
    method,
    dataset.arrays(),
    batch_size=config.batch_size,
    rounds_per_call=10,
  )
  state = jax.jit(algorithm.init, static_argnums=0)(method, jax.random.key(0))
  state, _ = run(state, rounds)
  held_out = data.load(config.data, 'test').evenly(SAMPLES)
  return algorithm, method, state, held_out


def distance(real, fake) -> float:
  """Returns the Frechet distance of random features of images in [-1, 1]."""
  features = random_features.features()
  moments = (
    frechet.moments(features(to_uint8(x))['features']) for x in (real, fake)
  )
  return frechet.distance(*moments)


def of_samples(name, rounds, **changed) -> float:
  """Returns the distance of samples of a trained config to held-out images."""
  algorithm, method, state, held_out = train(name, rounds, **changed)
  sample = jax.jit(algorithm.sample, static_argnums=(0, 3))
  fake = sample(method, state, jax.random.key(1), SAMPLES)
  return distance(held_out['image'] / np.float32(127.5) - 1.0, fake)


def agreement(digits, outlines) -> float:
  """Returns the share of outlines that are nearest to those of their digits.

  Images of equal latents belong together. Outlines are compared as means of
  4 x 4 pixels. By chance the share is 1 / N.
  """

  def coarse(images):
    x = np.asarray(images, float).reshape(len(images), 7, 4, 7, 4)
    return x.mean(axis=(2, 4)).reshape(len(x), -1)

  made = np.stack([derived.outline(image) for image in to_uint8(digits)])
  made, found = coarse(made), coarse(to_uint8(outlines))
  distances = ((found[:, None] - made[None]) ** 2).sum(axis=-1)
  return float((distances.argmin(axis=1) == np.arange(len(found))).mean())
