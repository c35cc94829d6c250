"""Rounds of `keras_speed.py`, by the algorithm of `jaxgan.steps`.

Each takes the task, a function `draw() -> (images [B, H, W, C] in [-1, 1],
labels [B])` and a function `trained(name, shape) -> (network, optimizer)`.
"""

import keras_networks
import tensorflow as tf


def logistic(logits, target):
  return tf.reduce_mean(
    tf.nn.sigmoid_cross_entropy_with_logits(
      labels=tf.fill(tf.shape(logits), target), logits=logits
    )
  )


def squares(outputs, target):
  return tf.reduce_mean(tf.square(outputs - target))


# name -> (discriminator's loss of the logits of reals and fakes, generator's
# loss of the logits of fakes).
LOSSES = {
  'non_saturating': (
    lambda real, fake: logistic(real, 0.9) + logistic(fake, 0.0),
    lambda fake: logistic(fake, 1.0),
  ),
  'least_squares': (
    lambda real, fake: squares(real, 1.0) + squares(fake, 0.0),
    lambda fake: squares(fake, 1.0),
  ),
  'wasserstein': (
    lambda real, fake: tf.reduce_mean(fake) - tf.reduce_mean(real),
    lambda fake: -tf.reduce_mean(fake),
  ),
}
# Recipe of completions.
COMPLETION = {'loss': 'least_squares', 'r1': 0.0, 'gradient_penalty': 0.0}


def apply(net, x, label):
  """Returns the output of a network that may take labels."""
  return net([x, label][: len(net.inputs)], training=True)


def squared_slopes(d, x, label):
  """Returns logits of x, and squared norms [B] of their gradients."""
  with tf.GradientTape() as tape:
    tape.watch(x)
    logits = apply(d, x, label)
  slope = tape.gradient(logits, x)
  return logits, tf.reduce_sum(tf.square(slope), [1, 2, 3])


def gradient_step(tape, loss, *trained):
  """Updates networks, each with its optimizer."""
  slopes = tape.gradient(loss, [net.trainable_variables for net, _ in trained])
  for slope, (net, adam) in zip(slopes, trained, strict=True):
    adam.apply(slope, net.trainable_variables)


def latent_game(task, draw, trained):
  """Returns a round of `steps.gan`; each update draws new latents."""
  generator = g, _ = trained('generator', [task['latent_size']])
  discriminator = d, _ = trained('discriminator', task['shape'])
  if task['loss'] not in LOSSES:
    keras_networks.stop(f'loss={task["loss"]!r}')
  d_loss, g_loss = LOSSES[task['loss']]
  size, r1, weight = task['batch_size'], task['r1'], task['gradient_penalty']
  most = task.get('clip_weights', 0.0)

  def fakes(label):
    return apply(g, tf.random.normal([size, task['latent_size']]), label)

  def one_round():
    for _ in range(task['discriminator_steps']):
      real, label = draw()
      fake = fakes(label)
      with tf.GradientTape() as tape:
        penalty = 0.0
        if r1:
          on_real, squares = squared_slopes(d, real, label)
          on_fake = apply(d, fake, label)
          penalty = r1 * tf.reduce_mean(squares)
        else:
          x = tf.concat([real, fake], 0)
          logits = apply(d, x, tf.concat([label, label], 0))
          on_real, on_fake = tf.split(logits, 2)
        if weight:
          mix = tf.random.uniform([size, 1, 1, 1])
          _, squares = squared_slopes(d, real + mix * (fake - real), label)
          norms = tf.sqrt(squares + 1e-12)
          penalty = weight * tf.reduce_mean(tf.square(norms - 1.0))
        loss = d_loss(on_real, on_fake) + penalty
      gradient_step(tape, loss, discriminator)
      for weights in d.trainable_variables if most else ():
        weights.assign(tf.clip_by_value(weights, -most, most))
    with tf.GradientTape() as tape:
      loss = g_loss(apply(d, fakes(label), label))
    gradient_step(tape, loss, generator)

  return one_round


def completion(task, draw, trained):
  """Returns a round of `steps.inpaint` with classes and least squares."""
  for field, value in COMPLETION.items():
    if task[field] != value:
      keras_networks.stop(f'{field}={task[field]!r} for completions')
  generator = g, _ = trained('generator', task['shape'])
  discriminator = d, _ = trained('discriminator', task['shape'])
  size, side, batch = task['mask_size'], task['shape'][0], task['batch_size']
  classes = task['networks']['discriminator']['num_classes']
  num_classes = tf.constant(classes, tf.int64)  # The label of fakes.
  places = tf.range(side)

  def filled(image):
    corner = tf.random.uniform([2, batch, 1], 0, side - size + 1, tf.int32)
    inside = (places >= corner) & (places < corner + size)
    hole = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return g(tf.where(hole, 0.0, image), training=True)

  def one_round():
    real, label = draw()
    fake = filled(real)
    labels = tf.concat([label, tf.fill([batch], num_classes)], 0)
    with tf.GradientTape() as tape:
      logits, classes = d(tf.concat([real, fake], 0), training=True)
      on_real, on_fake = tf.split(logits, 2)
      # The loss is a sum of means over both halves.
      wrong = 2.0 * tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, classes)
      )
      loss = squares(on_real, 0.9) + squares(on_fake, 0.0)
      loss += task['class_weight'] * wrong
    gradient_step(tape, loss, discriminator)
    with tf.GradientTape() as tape:
      loss = squares(d(filled(real), training=True)[0], 1.0)
    gradient_step(tape, loss, generator)

  return one_round


def coder(task, draw, trained):
  """Returns a round of `steps.autoencoder` or `steps.vae`."""
  is_vae = task['method'] == 'vae'
  encoder = e, _ = trained('encoder', task['shape'])
  code_shape = [task['latent_size']] if is_vae else e.output_shape[1:]
  decoder = d, _ = trained('decoder', code_shape)

  def one_round():
    pixels = (draw()[0] + 1.0) / 2.0
    with tf.GradientTape() as tape:
      code, kl = e(pixels, training=True), 0.0
      if is_vae:
        mean, log_variance = tf.split(code, 2, 1)
        noise = tf.random.normal(mean.shape)
        code = mean + tf.exp(0.5 * log_variance) * noise
        terms = tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance
        kl = 0.5 * tf.reduce_sum(terms) / task['batch_size']
      entropies = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=pixels, logits=d(code, training=True)
      )
      if is_vae:
        loss = tf.reduce_sum(entropies) / task['batch_size'] + kl
      else:
        loss = tf.reduce_mean(entropies)
    gradient_step(tape, loss, encoder, decoder)

  return one_round


METHODS = {
  'gan': latent_game,
  'inpaint': completion,
  'autoencoder': coder,
  'vae': coder,
}
