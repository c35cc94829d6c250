"""Networks of `keras_speed.py`, with the fields of `jaxgan.models`.

Each is a function of a symbolic input, and of labels if the network has them.
"""

import inspect
import math
import sys

import keras
from keras import layers, ops

EPSILON = 1e-3  # of batch norm, as in `jaxgan.models.layers`
# Fields of a description that belong to a recipe, or tell how to read others.
NOT_LAYERS = ('initializer', 'first_initializer', 'conditioning')


def stop(feature):
  sys.exit(f'error: the Keras peer has no {feature}')


def normed(x, kind, momentum, epsilon=EPSILON):
  if kind == 'none':
    return x
  if kind != 'batch':
    stop(f'norm={kind!r}')
  return layers.BatchNormalization(momentum=momentum, epsilon=epsilon)(x)


def leaky(x, slope):
  return layers.LeakyReLU(negative_slope=slope)(x)


def dropped(x, rate):
  return layers.Dropout(rate)(x) if rate else x


def conv(x, features, kernel, stride=1, *, bias=True, activation=None):
  return layers.Conv2D(
    *(features, kernel, stride, 'same'), use_bias=bias, activation=activation
  )(x)


def cropped(x, size):
  over = [n - m for n, m in zip(x.shape[1:3], size, strict=True)]
  return layers.Cropping2D([(0, n) for n in over])(x) if any(over) else x


def doubled(x, size):
  return cropped(layers.UpSampling2D()(x), size)


def with_label(x, label, num_classes):
  """Appends one-hot labels [B] to x [B, D]: [B, D + num_classes]."""
  if not num_classes:
    return x
  return layers.Concatenate()([x, ops.one_hot(label, num_classes)])


def mlp_generator(
  z, label=None, *, shape, widths, slope, norm, momentum, num_classes, bounded
):
  x = with_label(z, label, num_classes)
  for units in widths:
    x = normed(leaky(layers.Dense(units)(x), slope), norm, momentum)
  x = layers.Dense(math.prod(shape), 'tanh' if bounded else None)(x)
  return layers.Reshape(shape)(x)


def mlp_discriminator(
  image, label=None, *, widths, slope, dropout, num_classes
):
  x = with_label(layers.Flatten()(image), label, num_classes)
  for units in widths:
    x = dropped(leaky(layers.Dense(units)(x), slope), dropout)
  return layers.Dense(1)(x)


def dcgan_generator(
  z,
  label=None,
  *,
  shape,
  widths,
  strides,
  kernel,
  slope,
  upsampling,
  norm,
  flat_norm,
  dense_bias,
  bias,
  dropout,
  momentum,
  epsilon,
  num_classes,
):
  *final, channels = shape
  # Sizes of the small image and after every layer.
  small, *sizes = [
    [-(-side // math.prod(strides[place:])) for side in final]
    for place in range(len(strides) + 1)
  ]
  x = with_label(z, label, num_classes)
  x = layers.Dense(math.prod(small) * widths[0], use_bias=dense_bias)(x)
  to_image = layers.Reshape((*small, widths[0]))
  if flat_norm:
    x = to_image(normed(x, norm, momentum, epsilon))
  else:
    x = normed(to_image(x), norm, momentum, epsilon)
  x = leaky(x, slope)
  made = (*widths[1:], channels)
  for index, (features, stride) in enumerate(zip(made, strides, strict=True)):
    if upsampling == 'resize':
      x = cropped(layers.UpSampling2D(stride)(x), sizes[index])
      x = conv(x, features, kernel, bias=bias)
    else:
      layer = layers.Conv2DTranspose(
        *(features, kernel, stride, 'same'), use_bias=bias
      )
      x = cropped(layer(x), sizes[index])
    if index < len(made) - 1:
      x = dropped(leaky(normed(x, norm, momentum, epsilon), slope), dropout)
  return layers.Activation('tanh')(x)


def dcgan_discriminator(
  image,
  label=None,
  *,
  widths,
  strides,
  kernel,
  slope,
  norm,
  bias,
  dropout,
  momentum,
  epsilon,
  num_classes,
):
  x = image
  for index, features in enumerate(widths):
    stride = strides[index] if strides else 2
    x = conv(x, features, kernel, stride, bias=bias)
    x = normed(x, norm, momentum, epsilon) if index else x
    x = dropped(leaky(x, slope), dropout)
  x = with_label(layers.Flatten()(x), label, num_classes)
  return layers.Dense(1)(x)


def unet(image, *, shape, widths, kernel, slope, norm, momentum):
  x, scales = image, []
  for index, features in enumerate(widths):
    x = leaky(conv(x, features, kernel, 2), slope)
    x = normed(x, norm, momentum) if index else x
    scales.append(x)
  for like in scales[-2::-1]:
    *size, features = like.shape[1:]
    x = conv(doubled(x, size), features, kernel, activation='relu')
    x = layers.Concatenate()([normed(x, norm, momentum), like])
  *size, channels = shape
  return conv(doubled(x, size), channels, kernel, activation='tanh')


def patch_discriminator(image, *, widths, kernel, slopes, num_classes):
  x = image
  for features, slope in zip(widths, slopes, strict=True):
    x = leaky(conv(x, features, kernel, 2), slope)
  classes = layers.Dense(num_classes + 1)(layers.Flatten()(x))
  return [conv(x, 1, kernel), classes]


def dense_encoder(image, *, widths, code_size, rectified, activation):
  x = layers.Flatten()(image)
  for units in widths:
    x = layers.Dense(units, activation)(x)
  return layers.Dense(code_size, 'relu' if rectified else None)(x)


def dense_decoder(code, *, shape, widths, activation):
  x = layers.Flatten()(code)
  for units in widths:
    x = layers.Dense(units, activation)(x)
  return layers.Reshape(shape)(layers.Dense(math.prod(shape))(x))


def conv_encoder(image, *, widths, pooled):
  x = image
  for features in widths:
    x = conv(x, features, 3, 1 if pooled else 2, activation='relu')
    x = layers.MaxPooling2D(padding='same')(x) if pooled else x
  return x


def conv_decoder(code, *, shape, widths):
  *size, channels = shape
  sizes = [[-(-n // 2**place) for n in size] for place in range(len(widths))]
  x = code
  for features, size in zip(widths, sizes[::-1], strict=True):
    x = conv(doubled(x, size), features, 3, activation='relu')
  return conv(x, channels, 3)


KINDS = {
  'mlp.Generator': mlp_generator,
  'mlp.Discriminator': mlp_discriminator,
  'dcgan.Generator': dcgan_generator,
  'dcgan.Discriminator': dcgan_discriminator,
  'inpaint.UNet': unet,
  'inpaint.PatchDiscriminator': patch_discriminator,
  'autoencoder.DenseEncoder': dense_encoder,
  'autoencoder.DenseDecoder': dense_decoder,
  'autoencoder.ConvEncoder': conv_encoder,
  'autoencoder.ConvDecoder': conv_decoder,
}


def build(shape, fields):
  """Builds the network that fields of a module of `jaxgan.models` describe.

  Args:
    shape: shape of one input.
    fields: fields of the module, and 'kind', a key of `KINDS`.
  """
  fields = dict(fields)
  kind = fields.pop('kind')
  if kind not in KINDS:
    stop(kind)
  network = KINDS[kind]
  taken = inspect.signature(network).parameters
  for name, value in fields.items():
    if name not in taken and name not in NOT_LAYERS and value:
      stop(f'{kind} with {name}={value!r}')
  inputs = [keras.Input(shape)]
  if 'label' in taken and fields['num_classes']:
    conditioning = fields.get('conditioning', 'concat')
    if conditioning != 'concat':
      stop(f'{kind} with conditioning={conditioning!r}')
    inputs.append(keras.Input((), dtype='int64'))
  chosen = {k: v for k, v in fields.items() if k in taken}
  return keras.Model(inputs, network(*inputs, **chosen))
