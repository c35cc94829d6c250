"""Trains the WGAN tutorial in Keras 3 and prints the losses of its rounds.

  python keras_wgan.py IMAGES ROUNDS

IMAGES is a file of uint8 [N, 28, 28, 1]. Prints means over each hundred rounds:
the discriminator's loss in the tutorial's units, the generator's loss, and the
critic's outputs for reals and fakes. Compare them with the rows of
`configs/wgan_mnist.py:tutorial` in `benchmarks/tutorials.py`.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

BATCH_SIZE = 64
CRITIC_STEPS = 5
CLIP = 0.01
WINDOW = 100
LATENT = 100


def normed():
  return [layers.BatchNormalization(), layers.LeakyReLU(negative_slope=0.3)]


def generator():
  def transposed(channels, stride, **fields):
    return layers.Conv2DTranspose(
      channels, 5, stride, 'same', use_bias=False, **fields
    )

  return keras.Sequential(
    [
      layers.Input((LATENT,)),
      layers.Dense(7 * 7 * 256, use_bias=False),
      *normed(),
      layers.Reshape((7, 7, 256)),
      transposed(128, 1),
      *normed(),
      transposed(64, 2),
      *normed(),
      transposed(1, 2, activation='tanh'),
    ]
  )


def critic():
  net = keras.Sequential([layers.Input((28, 28, 1))])
  for channels in (64, 128):
    net.add(layers.Conv2D(channels, 5, 2, 'same'))
    net.add(layers.LeakyReLU(negative_slope=0.3))
    net.add(layers.Dropout(0.3))
  net.add(layers.Flatten())
  net.add(layers.Dense(1))
  return net


def trained(net, loss_fn):
  """Returns a function that updates the network by RMSprop, and its loss."""
  optimizer = keras.optimizers.RMSprop(5e-5)
  optimizer.build(net.trainable_variables)

  @tf.function
  def update(*inputs):
    with tf.GradientTape() as tape:
      loss = loss_fn(*inputs)
    slopes = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(slopes, net.trainable_variables, strict=True))
    return loss

  return update


def main(images, rounds):
  keras.utils.set_random_seed(0)
  images = np.load(images).astype(np.float32) / 127.5 - 1.0
  g, d = generator(), critic()
  d_step = trained(
    d, lambda x, sign: sign * tf.reduce_mean(d(x, training=True))
  )
  g_step = trained(
    g, lambda z: -tf.reduce_mean(d(g(z, training=True), training=True))
  )
  fake_of = tf.function(lambda z: g(z, training=False))

  @tf.function
  def clip():
    for x in d.trainable_variables:
      x.assign(tf.clip_by_value(x, -CLIP, CLIP))

  lines = []
  for step in range(int(rounds)):
    first = step * BATCH_SIZE % (len(images) - BATCH_SIZE + 1)
    real = tf.constant(images[first : first + BATCH_SIZE])
    for _ in range(CRITIC_STEPS):
      z = tf.random.normal((BATCH_SIZE, LATENT))
      fake = fake_of(z)
      on_real = -d_step(real, tf.constant(-1.0))
      on_fake = d_step(fake, tf.constant(1.0))
      clip()
    line = on_real, on_fake, g_step(z)
    lines.append([float(x) for x in line])
    if len(lines) == WINDOW:
      on_real, on_fake, g_loss = np.mean(lines, axis=0)
      print(
        f'rounds {step + 2 - WINDOW} to {step + 1}: '
        f'D {0.5 * (on_fake - on_real):.2f}, G {g_loss:.2f}, '
        f'reals {on_real:.2f}, fakes {on_fake:.2f}',
        flush=True,
      )
      lines = []


if __name__ == '__main__':
  main(*sys.argv[1:])
