"""Residual networks of `torch_speed.py`: SNGAN, SAGAN and BigGAN.

Layers and fields are those of `jaxgan.models.resnet`, with nearest neighbours.
"""

import functools
import itertools
import math

import torch
import torch_gan
from torch import nn
from torch.nn import functional


def normed(layer, is_spectral):
  return nn.utils.spectral_norm(layer) if is_spectral else layer


def layers(is_spectral):
  """Returns functions that make a 3 x 3, a 1 x 1 and a dense layer."""

  def conv(inputs, outputs, kernel, bias=True):
    pads = kernel // 2
    layer = nn.Conv2d(inputs, outputs, kernel, padding=pads, bias=bias)
    return normed(layer, is_spectral)

  def dense(*sizes, bias=True):
    return normed(nn.Linear(*sizes, bias=bias), is_spectral)

  return conv, dense


class Norm(nn.Module):
  """Batch norm; scale and bias depend on labels or vectors if `make` is given.

  `make` returns an embedding of labels, or a linear layer of vectors.
  """

  def __init__(self, channels, momentum, epsilon, make=None):
    super().__init__()
    self.norm = nn.BatchNorm2d(
      channels, epsilon, 1.0 - momentum, affine=make is None
    )
    self.scale = make and make(channels)
    self.bias = make and make(channels)

  def forward(self, x, y):
    x = self.norm(x)
    if self.scale is None:
      return x
    scale, bias = self.scale(y), self.bias(y)
    return x * (1.0 + scale[:, :, None, None]) + bias[:, :, None, None]


class Attention(nn.Module):
  def __init__(self, channels, conv):
    super().__init__()
    few, half = max(channels // 8, 1), max(channels // 2, 1)
    self.query = conv(channels, few, 1, bias=False)
    self.key = conv(channels, few, 1, bias=False)
    self.value = conv(channels, half, 1, bias=False)
    self.last = conv(half, channels, 1, bias=False)
    self.gain = nn.Parameter(torch.zeros(()))

  def forward(self, x):
    query = self.query(x).flatten(2)  # [B, C, H W]
    key = functional.max_pool2d(self.key(x), 2).flatten(2)
    value = functional.max_pool2d(self.value(x), 2).flatten(2)
    weights = torch.bmm(query.transpose(1, 2), key).softmax(-1)
    mean = torch.bmm(value, weights.transpose(1, 2))
    mean = mean.reshape(len(x), -1, *x.shape[2:])
    return x + self.gain * self.last(mean)


class UpBlock(nn.Module):
  def __init__(self, inputs, outputs, conv, norm):
    super().__init__()
    self.norms = nn.ModuleList([norm(inputs), norm(outputs)])
    self.convs = nn.ModuleList(
      [conv(inputs, outputs, 3), conv(outputs, outputs, 3)]
    )
    self.skip = conv(inputs, outputs, 1)

  def forward(self, x, y):
    up = functools.partial(functional.interpolate, scale_factor=2)
    h = self.convs[0](up(functional.relu(self.norms[0](x, y))))
    h = self.convs[1](functional.relu(self.norms[1](h, y)))
    return h + up(self.skip(x))


class Generator(nn.Module):
  def __init__(
    self,
    inputs,
    *,
    shape,
    widths,
    upsampling,
    attention,
    hierarchical,
    embedding,
    momentum,
    epsilon,
    num_classes,
    spectral_norm=False,
  ):
    super().__init__()
    if upsampling != 'nearest':
      torch_gan.stop(f'upsampling={upsampling!r}')
    conv, dense = layers(spectral_norm)
    blocks = len(widths) - 1
    self.hierarchical, self.num_classes = hierarchical, num_classes
    self.labels = nn.Embedding(num_classes, embedding) if embedding else None
    part = inputs // (blocks + 1) if hierarchical else 0
    size = (embedding or num_classes) + part
    make = None
    if embedding or hierarchical:
      make = functools.partial(dense, size, bias=False)
    elif num_classes:
      make = functools.partial(nn.Embedding, num_classes)
    plain = functools.partial(Norm, momentum=momentum, epsilon=epsilon)
    norm = functools.partial(plain, make=make)
    *sides, channels = shape
    self.start = [widths[0], *(side // 2**blocks for side in sides)]
    self.first = dense(part or inputs, math.prod(self.start))
    self.blocks, self.attention = nn.ModuleList(), nn.ModuleDict()
    for index, (width, wide) in enumerate(itertools.pairwise(widths)):
      self.blocks.append(UpBlock(width, wide, conv, norm))
      if index + 1 in attention:
        self.attention[str(index)] = Attention(wide, conv)
    self.norm = plain(widths[-1])
    self.image = conv(widths[-1], channels, 3)

  def forward(self, z, label):
    y = label if self.num_classes else None
    if self.labels:
      y = self.labels(label)
    elif self.num_classes and self.hierarchical:
      y = functional.one_hot(label, self.num_classes).float()
    conditions = [y] * len(self.blocks)
    if self.hierarchical:
      z, *parts = z.chunk(len(self.blocks) + 1, 1)
      conditions = [
        part if y is None else torch.cat([y, part], 1) for part in parts
      ]
    x = self.first(z).reshape(-1, *self.start)
    for index, block in enumerate(self.blocks):
      x = block(x, conditions[index])
      if str(index) in self.attention:
        x = self.attention[str(index)](x)
    return torch.tanh(self.image(functional.relu(self.norm(x, None))))


class DownBlock(nn.Module):
  def __init__(self, inputs, hidden, outputs, stride, conv, is_first):
    super().__init__()
    self.is_first, self.stride = is_first, stride
    self.convs = nn.ModuleList(
      [conv(inputs, hidden, 3), conv(hidden, outputs, 3)]
    )
    has_skip = stride == 2 or inputs != outputs
    self.skip = conv(inputs, outputs, 1) if has_skip else nn.Identity()

  def forward(self, x):
    h = self.convs[0](x if self.is_first else functional.relu(x))
    h = self.convs[1](functional.relu(h))
    if self.stride == 2:
      h, x = functional.avg_pool2d(h, 2), functional.avg_pool2d(x, 2)
    return h + self.skip(x)


class Discriminator(nn.Module):
  def __init__(
    self,
    shape,
    *,
    widths,
    strides,
    wide,
    attention,
    num_classes,
    conditioning='projection',
    spectral_norm=False,
  ):
    super().__init__()
    if conditioning != 'projection':
      raise ValueError(f'conditioning={conditioning!r} has no peer')
    conv, dense = layers(spectral_norm)
    body, before = [], shape[-1]
    for index, (width, stride) in enumerate(zip(widths, strides, strict=True)):
      hidden = width if wide or not index else before
      body.append(DownBlock(before, hidden, width, stride, conv, not index))
      if index + 1 in attention:
        body.append(Attention(width, conv))
      before = width
    self.body = nn.Sequential(*body)
    self.logit = dense(before, 1)
    self.labels = (
      dense(before, num_classes, bias=False) if num_classes else None
    )

  def forward(self, x, label):
    x = functional.relu(self.body(x)).sum((2, 3))
    logits = self.logit(x)[:, 0]
    if self.labels:
      logits = logits + self.labels(x).gather(1, label[:, None])[:, 0]
    return logits, None


KINDS = {'resnet.Generator': Generator, 'resnet.Discriminator': Discriminator}
