"""R3GAN of `torch_speed.py`, and filters that resize images.

Layers and fields are those of `jaxgan.models.r3gan`.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SLOPE = 0.2


class Filter(nn.Module):
  """A separable filter of even length, with a sum of one.

  Pixels beyond the border are zero.
  """

  def __init__(self, taps):
    super().__init__()
    taps = torch.tensor(taps, dtype=torch.float32)
    taps = torch.outer(taps, taps)
    self.register_buffer('taps', (taps / taps.sum())[None, None])
    self.radius = len(self.taps[0, 0]) // 2 - 1

  def kernel(self, x):
    return self.taps.expand(x.shape[1], -1, -1, -1)

  def forward(self, x, pads, stride=1):
    kernel, groups = self.kernel(x), x.shape[1]
    return functional.conv2d(x, kernel, None, stride, pads, 1, groups)

  def halve(self, x):
    return self(x, self.radius, 2)

  def double(self, x):
    return functional.conv_transpose2d(
      x, 4.0 * self.kernel(x), None, 2, self.radius, 0, x.shape[1]
    )


def between(weights):
  """Returns the filter between two grids of pixels of one on a grid."""
  return np.convolve(weights, (1.0, 1.0)).tolist()


def product(inputs, outputs, bias=False):
  return nn.Conv2d(inputs, outputs, 1, bias=bias)


class Block(nn.Module):
  def __init__(self, width, groups, expansion, kernel):
    super().__init__()
    hidden = width * expansion
    self.layers = nn.Sequential(
      product(width, hidden, bias=True),
      nn.LeakyReLU(SLOPE),
      nn.Conv2d(hidden, hidden, kernel, padding=kernel // 2, groups=groups),
      nn.LeakyReLU(SLOPE),
      product(hidden, width),
    )

  def forward(self, x):
    return x + self.layers(x)


def stages(widths, blocks, cardinality, expansion, kernel):
  """Returns a list of the changes of width, and one of the blocks."""
  changes, bodies, before = nn.ModuleList(), nn.ModuleList(), widths[0]
  for width, count, groups in zip(widths, blocks, cardinality, strict=True):
    is_same = width == before
    changes.append(nn.Identity() if is_same else product(before, width))
    bodies.append(
      nn.Sequential(
        *(Block(width, groups, expansion, kernel) for _ in range(count))
      )
    )
    before = width
  return changes, bodies


class Generator(nn.Module):
  def __init__(
    self,
    inputs,
    *,
    shape,
    widths,
    blocks,
    cardinality,
    expansion,
    kernel,
    resampling,
    embedding,
    num_classes,
  ):
    super().__init__()
    *sides, channels = shape
    sides = [side // 2 ** (len(widths) - 1) for side in sides]
    self.labels = nn.Embedding(num_classes, embedding) if num_classes else None
    inputs += embedding if num_classes else 0
    self.basis = nn.Parameter(torch.randn(1, widths[0], *sides))
    self.latents = nn.Linear(inputs, widths[0], bias=False)
    self.changes, self.bodies = stages(
      widths, blocks, cardinality, expansion, kernel
    )
    self.filter = Filter(between(resampling))
    self.image = product(widths[-1], channels)

  def forward(self, z, label):
    if self.labels:
      z = torch.cat([z, self.labels(label)], 1)
    x = self.latents(z)[:, :, None, None] * self.basis
    for index, body in enumerate(self.bodies):
      x = self.filter.double(self.changes[index](x)) if index else x
      x = body(x)
    return self.image(x)


class Discriminator(nn.Module):
  def __init__(
    self,
    shape,
    *,
    widths,
    blocks,
    cardinality,
    expansion,
    kernel,
    resampling,
    embedding,
    num_classes,
    conditioning='projection',
  ):
    super().__init__()
    if conditioning != 'projection':
      raise ValueError(f'conditioning={conditioning!r} has no peer')
    *sides, channels = shape
    sides = [side // 2 ** (len(widths) - 1) for side in sides]
    self.image = product(channels, widths[0])
    self.changes, self.bodies = stages(
      widths, blocks, cardinality, expansion, kernel
    )
    self.filter = Filter(between(resampling))
    self.basis = nn.Parameter(torch.randn(1, widths[-1], *sides))
    outputs = embedding if num_classes else 1
    self.logits = nn.Linear(widths[-1], outputs, bias=False)
    self.labels = nn.Embedding(num_classes, embedding) if num_classes else None

  def forward(self, x, label):
    x = self.image(x)
    for index, body in enumerate(self.bodies):
      x = self.changes[index](self.filter.halve(x)) if index else x
      x = body(x)
    x = self.logits((x * self.basis).sum((2, 3)))
    if self.labels:
      return (x * self.labels(label)).sum(1), None
    return x[:, 0], None


KINDS = {'r3gan.Generator': Generator, 'r3gan.Discriminator': Discriminator}
