"""Trains one system in Keras 3 on TensorFlow; run by `benchmarks/speed.py`.

  python keras_speed.py MODE TASK IMAGES LABELS

Modes:

  graph: a round in `tf.function`, the default of `fit` on CPUs.
  xla: a round compiled by XLA, the default of `fit` on GPUs.
  steps, xla_steps: ten rounds in a call, as with `steps_per_execution=10`.

Images are on the device. Without R1, one call of the discriminator takes reals
and fakes.

TASK, IMAGES and LABELS are as in `torch_speed.py`.
"""

import json

import keras
import keras_networks
import keras_rounds
import numpy as np
import serving
import tensorflow as tf

STEPS = 10
# mode -> (compiled by XLA, rounds per call)
MODES = {
  'graph': (False, 1),
  'xla': (True, 1),
  'steps': (False, STEPS),
  'xla_steps': (True, STEPS),
}
# Optimizer fields, with the only values that this peer has.
PLAIN = {
  'name': 'adam',
  'schedule': 'constant',
  'warmup_images': 0,
  'clip_weights': 0.0,
  'historical_averaging': 0.0,
}


def build(task, images, labels):
  """Returns networks by name, and their round."""
  images, labels = tf.constant(np.load(images)), np.load(labels)
  labels = tf.constant(labels.astype(np.int64))
  nets = {}

  def draw():
    rows = tf.random.uniform([task['batch_size']], 0, len(images), tf.int64)
    image = tf.cast(tf.gather(images, rows), tf.float32) / 127.5 - 1.0
    return image, tf.gather(labels, rows)

  def trained(name, shape):
    """Builds a network and its optimizer."""
    net = nets[name] = keras_networks.build(shape, task['networks'][name])
    settings = task['optimizers'][name]
    for field, value in PLAIN.items():
      if settings[field] != value:
        keras_networks.stop(f'{name}.optimizer.{field}={settings[field]!r}')
    average = task['average'] if name != 'discriminator' else 0.0
    adam = keras.optimizers.Adam(
      settings['learning_rate'],
      beta_1=settings['b1'],
      beta_2=settings['b2'],
      epsilon=settings['eps'],
      use_ema=bool(average),
      ema_momentum=1.0 - average,
    )
    adam.build(net.trainable_variables)
    return net, adam

  method = task['method']
  if method not in keras_rounds.METHODS:
    keras_networks.stop(f'method={method!r}')
  return nets, keras_rounds.METHODS[method](task, draw, trained)


def trainer(mode, one_round):
  """Returns a function that runs a number of rounds to their end."""
  is_compiled, most = MODES[mode]
  call = tf.function(one_round, jit_compile=is_compiled)

  @tf.function
  def several(count):
    for _ in tf.range(count):
      call()

  def run(rounds):
    if most == 1:
      for _ in range(rounds):
        call()
    else:
      for first in range(0, rounds, most):
        several(tf.constant(min(most, rounds - first)))
    tf.test.experimental.sync_devices()

  return run


def main(mode, task, images, labels):
  with open(task, encoding='utf-8') as file:
    task = json.load(file)
  if keras.backend.backend() != 'tensorflow':
    keras_networks.stop(f'KERAS_BACKEND={keras.backend.backend()!r}')
  # Full float32 products, as in jaxgan.
  tf.config.experimental.enable_tensor_float_32_execution(False)
  gpus = tf.config.list_physical_devices('GPU')
  nets, one_round = build(task, images, labels)
  about = {
    'version': keras.__version__,
    'parameters': {
      name: sum(int(np.prod(x.shape)) for x in net.trainable_variables)
      for name, net in nets.items()
    },
    'device': 'gpu' if gpus else 'cpu',
  }

  def memory():
    if gpus:
      return tf.config.experimental.get_memory_info('GPU:0')['peak']
    return serving.host_memory()

  serving.serve(about, trainer(mode, one_round), memory)


if __name__ == '__main__':
  serving.start(main)
