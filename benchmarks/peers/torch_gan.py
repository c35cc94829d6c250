"""GAN networks and losses of the PyTorch peers.

Networks are described by the fields of `jaxgan.models`. Kernels of convolutions
start as in the DCGAN tutorial of PyTorch, others as torch's layers do.
"""

import functools
import inspect
import math
import sys

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-3  # of batch norm, as in `jaxgan.models.layers`
# Fields of a description that belong to a recipe, or tell how to read others.
NOT_LAYERS = ('initializer', 'first_initializer', 'conditioning')


def stop(feature):
  sys.exit(f'error: the PyTorch peer has no {feature}')


def batch_norm(kind, channels, momentum, layer=nn.BatchNorm2d, epsilon=EPSILON):
  """Returns a list of one layer or none; torch's momentum is 1 - ours."""
  if kind == 'none':
    return []
  if kind != 'batch':
    stop(f'norm={kind!r}')
  return [layer(channels, eps=epsilon, momentum=1.0 - momentum)]


def with_label(x, label, num_classes):
  """Appends one-hot labels [B] to x [B, D]: [B, D + num_classes]."""
  if not num_classes:
    return x
  return torch.cat([x, functional.one_hot(label, num_classes).float()], 1)


class MLPGenerator(nn.Module):
  def __init__(
    self, inputs, *, shape, widths, slope, norm, momentum, num_classes, bounded
  ):
    super().__init__()
    self.shape, self.num_classes = shape, num_classes
    layers, width = [], inputs + num_classes
    for units in widths:
      layers += [nn.Linear(width, units), nn.LeakyReLU(slope)]
      layers += batch_norm(norm, units, momentum, nn.BatchNorm1d)
      width = units
    layers += [nn.Linear(width, math.prod(shape))]
    self.layers = nn.Sequential(*layers, *[nn.Tanh()] * bounded)

  def forward(self, z, label):
    x = self.layers(with_label(z, label, self.num_classes))
    *size, channels = self.shape
    return x.reshape(-1, channels, *size)


class MLPDiscriminator(nn.Module):
  def __init__(self, shape, *, widths, slope, dropout, num_classes):
    super().__init__()
    self.num_classes = num_classes
    layers, width = [], math.prod(shape) + num_classes
    for units in widths:
      layers += [nn.Linear(width, units), nn.LeakyReLU(slope)]
      layers += [nn.Dropout(dropout)] * bool(dropout)
      width = units
    self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

  def forward(self, x, label):
    x = with_label(x.flatten(1), label, self.num_classes)
    return self.layers(x)[:, 0], None


class Crop(nn.Module):
  def __init__(self, height, width):
    super().__init__()
    self.size = height, width

  def forward(self, x):
    return x[:, :, : self.size[0], : self.size[1]]


def conv(size, inputs, outputs, kernel, stride, bias):
  """Returns a 'SAME' convolution of images [inputs, *size], and its size."""
  after = [-(-n // stride) for n in size]
  pads = []
  for n, m in zip(reversed(size), reversed(after), strict=True):
    total = max((m - 1) * stride + kernel - n, 0)
    pads += [total // 2, total - total // 2]
  if len(set(pads)) == 1:
    return [
      nn.Conv2d(inputs, outputs, kernel, stride, pads[0], bias=bias)
    ], after
  layer = nn.Conv2d(inputs, outputs, kernel, stride, bias=bias)
  return [nn.ZeroPad2d(pads), layer], after


def conv_transpose(size, inputs, outputs, kernel, stride, bias):
  """Returns a transposed convolution as XLA pads 'SAME', and its size."""
  after = [n * stride for n in size]
  before = kernel - 1 - -(-(kernel + stride - 2) // 2)
  layer = nn.ConvTranspose2d(inputs, outputs, kernel, stride, before, bias=bias)
  is_larger = kernel - stride > 2 * before
  return [layer, *[Crop(*after)] * is_larger], after


class DCGANGenerator(nn.Module):
  def __init__(
    self,
    inputs,
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
    super().__init__()
    normed = functools.partial(batch_norm, epsilon=epsilon)
    *final, channels = shape
    self.num_classes = num_classes
    size = [-(-n // math.prod(strides)) for n in final]
    units = math.prod(size) * widths[0]
    layers = [nn.Linear(inputs + num_classes, units, bias=dense_bias)]
    if flat_norm:
      layers += normed(norm, units, momentum, nn.BatchNorm1d)
    layers += [nn.Unflatten(1, (widths[0], *size))]
    if not flat_norm:
      layers += normed(norm, widths[0], momentum)
    layers += [nn.LeakyReLU(slope)]
    width = widths[0]
    for index, stride in enumerate(strides):
      is_last = index == len(strides) - 1
      features = channels if is_last else widths[index + 1]
      if upsampling == 'resize':
        layers += [nn.Upsample(scale_factor=stride)]
        size = [n * stride for n in size]
        added, size = conv(size, width, features, kernel, 1, bias)
      else:
        added, size = conv_transpose(
          size, width, features, kernel, stride, bias
        )
      layers += added
      if not is_last:
        layers += [*normed(norm, features, momentum), nn.LeakyReLU(slope)]
        layers += [nn.Dropout(dropout)] * bool(dropout)
      width = features
    self.layers = nn.Sequential(*layers, nn.Tanh(), Crop(*final))
    self.apply(as_tutorial)

  def forward(self, z, label):
    return self.layers(with_label(z, label, self.num_classes))


class DCGANDiscriminator(nn.Module):
  def __init__(
    self,
    shape,
    *,
    widths,
    strides,
    kernel,
    slope,
    norm,
    bias,
    dropout,
    conditioning,
    momentum,
    epsilon,
    num_classes,
  ):
    super().__init__()
    normed = functools.partial(batch_norm, epsilon=epsilon)
    *size, channels = shape
    layers = []
    for index, features in enumerate(widths):
      stride = strides[index] if strides else 2
      added, size = conv(size, channels, features, kernel, stride, bias)
      layers += added
      if index:
        layers += normed(norm, features, momentum)
      layers += [nn.LeakyReLU(slope), *[nn.Dropout(dropout)] * bool(dropout)]
      channels = features
    self.layers = nn.Sequential(*layers, nn.Flatten())
    units = math.prod(size) * channels
    predicted = num_classes if conditioning == 'auxiliary' else 0
    self.appended = num_classes - predicted
    self.logit = nn.Linear(units + self.appended, 1)
    self.classes = nn.Linear(units, predicted) if predicted else None
    self.apply(as_tutorial)

  def forward(self, x, label):
    x = with_label(self.layers(x), label, self.appended)
    return self.logit(x)[:, 0], self.classes and self.classes(x)


def as_tutorial(module):
  """Draws kernels of deviation 0.02 (Radford et al. 2015, section 4)."""
  if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
    nn.init.normal_(module.weight, 0.0, 0.02)
  if isinstance(module, nn.BatchNorm2d):
    nn.init.normal_(module.weight, 1.0, 0.02)


KINDS = {
  'mlp.Generator': MLPGenerator,
  'mlp.Discriminator': MLPDiscriminator,
  'dcgan.Generator': DCGANGenerator,
  'dcgan.Discriminator': DCGANDiscriminator,
}


def build(inputs, fields, kinds=KINDS):
  """Builds the network that fields of a module of `jaxgan.models` describe."""
  fields = dict(fields)
  kind = fields.pop('kind')
  if kind not in kinds:
    stop(kind)
  conditioning = fields.get('conditioning', 'concat')
  if fields['num_classes'] and conditioning not in ('concat', 'auxiliary'):
    stop(f'conditioning={conditioning!r}')
  taken = inspect.signature(kinds[kind]).parameters
  for name, value in fields.items():
    if name not in taken and name not in NOT_LAYERS and value:
      stop(f'{kind} with {name}={value!r}')
  return kinds[kind](inputs, **{k: v for k, v in fields.items() if k in taken})


def logistic(logits, target):
  return functional.binary_cross_entropy_with_logits(
    logits, torch.full_like(logits, target)
  )


def least_squares(logits, target):
  return functional.mse_loss(logits, torch.full_like(logits, target))


# Losses of generators that take the logits of fakes and of reals.
PAIRED = ('relativistic_pairing',)
# name -> (discriminator's loss of the logits of reals and fakes, generator's
# loss of the logits of fakes).
LOSSES = {
  'non_saturating': (
    lambda real, fake: logistic(real, 0.9) + logistic(fake, 0.0),
    lambda fake: logistic(fake, 1.0),
  ),
  'least_squares': (
    lambda real, fake: least_squares(real, 1.0) + least_squares(fake, 0.0),
    lambda fake: least_squares(fake, 1.0),
  ),
  'wasserstein': (
    lambda real, fake: fake.mean() - real.mean(),
    lambda fake: -fake.mean(),
  ),
  'hinge': (
    lambda real, fake: (1 - real).relu().mean() + (1 + fake).relu().mean(),
    lambda fake: -fake.mean(),
  ),
  'relativistic_pairing': (
    lambda real, fake: functional.softplus(fake - real).mean(),
    lambda fake, real: functional.softplus(real - fake).mean(),
  ),
}
