"""Trains MNIST GANs in Keras 3; run by `benchmarks/quality.py`.

  python keras_quality.py FOLDER

FOLDER and what is printed are as in `torch_quality.py`. The networks are those
of a Keras tutorial, and a round is a `tf.function`: one update of each player,
with the tutorial's labels, learning rates and optimizers. One call of the
discriminator takes reals and fakes. Samples use running statistics.
"""

import json
import pathlib
import sys
import time

import keras
import keras_networks
import keras_rounds
import numpy as np
import tensorflow as tf

BATCH_SIZE = 64
CHUNK = 500  # samples at a time
CLIP = 0.01  # largest weight of a critic
CRITIC_STEPS = 5


def main(folder):
  folder = pathlib.Path(folder)
  task = json.loads((folder / 'task.json').read_text())
  images = tf.constant(np.load(folder / 'images.npy'))
  labels = tf.constant(np.load(folder / 'labels.npy').astype(np.int64))
  keras.utils.set_random_seed(task['seed'])
  is_wasserstein = task['loss'] == 'wasserstein'
  task |= {
    'batch_size': BATCH_SIZE,
    'discriminator_steps': CRITIC_STEPS if is_wasserstein else 1,
    'clip_weights': CLIP if is_wasserstein else 0.0,
    'shape': task['generator']['shape'],
    'r1': 0.0,
    'gradient_penalty': 0.0,
  }

  def draw():
    rows = tf.random.uniform([BATCH_SIZE], 0, len(images), tf.int64)
    image = tf.cast(tf.gather(images, rows), tf.float32) / 127.5 - 1.0
    return image, tf.gather(labels, rows)

  nets = {}

  def trained(name, shape):
    net = nets[name] = keras_networks.build(shape, task[name])
    if is_wasserstein:
      optimizer = keras.optimizers.RMSprop(5e-5)
    else:
      optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
    optimizer.build(net.trainable_variables)
    return net, optimizer

  start = time.perf_counter()
  one_round = tf.function(keras_rounds.latent_game(task, draw, trained))
  rounds, reports = 0, []
  for index, limit in enumerate(task['seconds']):
    while time.perf_counter() - start < limit:
      one_round()
      tf.test.experimental.sync_devices()
      rounds += 1
    paused = time.perf_counter()
    reals = rounds * task['discriminator_steps'] * BATCH_SIZE
    reports.append((paused - start, rounds, reals))
    np.save(folder / f'samples_{index}.npy', sample(nets['generator'], task))
    start += time.perf_counter() - paused
  parameters = {
    name: sum(int(np.prod(x.shape)) for x in net.trainable_variables)
    for name, net in nets.items()
  }
  about = {'version': keras.__version__, 'parameters': parameters}
  print(json.dumps(about | {'reports': reports}))


def sample(generator, task):
  """Returns samples [num, H, W, C] in uint8, of all classes in turn."""
  num, classes = task['num'], max(task['generator']['num_classes'], 1)
  samples = []
  for first in range(0, num, CHUNK):
    label = tf.range(first, min(first + CHUNK, num), dtype=tf.int64) % classes
    z = tf.random.normal([len(label), task['latent_size']])
    made = generator([z, label][: len(generator.inputs)], training=False)
    made = np.clip(np.round((made.numpy() + 1.0) * 127.5), 0, 255)
    samples.append(made.astype(np.uint8))
  return np.concatenate(samples)


if __name__ == '__main__':
  main(*sys.argv[1:])
