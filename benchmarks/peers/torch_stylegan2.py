"""StyleGAN2 of `torch_speed.py`, without labels.

Layers and fields are those of `jaxgan.models.stylegan2`.
"""

import itertools
import math

import torch
import torch_gan
from torch import nn
from torch.nn import functional
from torch_r3gan import Filter

TAPS = (1.0, 3.0, 3.0, 1.0)
HALF = math.sqrt(0.5)


def activate(x, gain=1.0):
  return functional.leaky_relu(x, 0.2) * (math.sqrt(2.0) * gain)


class Linear(nn.Module):
  def __init__(self, inputs, outputs, multiplier=1.0, bias=0.0, active=False):
    super().__init__()
    self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
    self.bias = nn.Parameter(torch.full((outputs,), bias))
    self.multiplier, self.active = multiplier, active

  def forward(self, x):
    scale = self.multiplier / math.sqrt(x.shape[1])
    x = functional.linear(x, self.weight * scale, self.bias * self.multiplier)
    return activate(x) if self.active else x


class Conv(nn.Module):
  def __init__(
    self, inputs, outputs, kernel, change=None, active=True, gain=1.0
  ):
    super().__init__()
    self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
    self.bias = nn.Parameter(torch.zeros(outputs)) if active else None
    self.scale = 1.0 / math.sqrt(inputs * kernel**2)
    self.change, self.gain, self.filter = change, gain, Filter(TAPS)

  def forward(self, x):
    weight, size = self.weight * self.scale, self.weight.shape[-1]
    if self.change == 'halve' and size == 3:
      x = functional.conv2d(self.filter(x, 2), weight, self.bias, 2)
    else:
      x = self.filter.halve(x) if self.change == 'halve' else x
      x = functional.conv2d(x, weight, self.bias, padding=size // 2)
      x = self.filter.double(x) if self.change == 'double' else x
    return x * self.gain if self.bias is None else activate(x, self.gain)


class ModulatedConv(nn.Module):
  """A convolution between scales of its inputs and of its outputs."""

  def __init__(self, inputs, outputs, kernel, style_size):
    super().__init__()
    self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
    self.style = Linear(style_size, inputs, bias=1.0)
    self.bias = nn.Parameter(torch.zeros(outputs))

  def modulated(self, x, w, doubles=False, demodulate=True):
    styles, size = self.style(w), self.weight.shape[-1]
    if not demodulate:
      styles = styles / math.sqrt(x.shape[1])
    x = x * styles[:, :, None, None]
    if doubles:
      weight = self.weight.transpose(0, 1)
      x = functional.conv_transpose2d(x, weight, stride=2)
    else:
      x = functional.conv2d(x, self.weight, padding=size // 2)
    if demodulate:
      squares = styles.square() @ self.weight.square().sum((2, 3)).T
      x = x * (squares + 1e-8).rsqrt()[:, :, None, None]
    return x


class Layer(ModulatedConv):
  def __init__(self, inputs, outputs, side, style_size, doubles, gain):
    super().__init__(inputs, outputs, 3, style_size)
    self.strength = nn.Parameter(torch.zeros(()))
    self.register_buffer('noise', torch.randn(1, 1, *side))
    self.doubles, self.gain, self.filter = doubles, gain, Filter(TAPS)

  def forward(self, x, w):
    x = self.modulated(x, w, self.doubles)
    if self.doubles:
      x = 4.0 * self.filter(x, 1)
    noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device)
    x = x + self.strength * noise + self.bias[:, None, None]
    return activate(x, self.gain)


class ToImage(ModulatedConv):
  def forward(self, x, w):
    x = self.modulated(x, w, demodulate=False)
    return x + self.bias[:, None, None]


class Generator(nn.Module):
  def __init__(
    self,
    inputs,
    *,
    shape,
    widths,
    architecture,
    mapping_layers,
    style_size,
    multiplier,
    mixing,
    decay,
    truncation,
    latents,
    num_classes,
  ):
    super().__init__()
    if num_classes or truncation != 1.0:
      torch_gan.stop('StyleGAN2 with labels or truncation')
    if latents != f'normal {inputs}':
      torch_gan.stop(f'StyleGAN2 with latents {latents}')
    self.mixing, self.decay, self.inputs = mixing, decay, inputs
    self.is_skip = architecture == 'skip'
    *sides, channels = shape
    last = len(widths) - 1
    sizes = [
      [side // 2 ** (last - k) for side in sides] for k in range(last + 1)
    ]
    mapping, before = [], inputs
    for _ in range(mapping_layers):
      mapping.append(Linear(before, style_size, multiplier, active=True))
      before = style_size
    self.mapping = nn.Sequential(*mapping)
    self.register_buffer('average', torch.zeros(style_size))
    self.start = nn.Parameter(torch.randn(1, widths[0], *sizes[0]))
    self.ups, self.convs = nn.ModuleList(), nn.ModuleList()
    self.skips, self.images = nn.ModuleList(), nn.ModuleDict()
    before = widths[0]
    for index, (width, size) in enumerate(zip(widths, sizes, strict=True)):
      gain = HALF if index and not self.is_skip else 1.0
      if index:
        self.ups.append(Layer(before, width, size, style_size, True, 1.0))
      if index and not self.is_skip:
        skip = Conv(before, width, 1, 'double', active=False, gain=HALF)
        self.skips.append(skip)
      self.convs.append(Layer(width, width, size, style_size, False, gain))
      if self.is_skip or index == last:
        self.images[str(index)] = ToImage(width, channels, 1, style_size)
      before = width
    self.filter = Filter(TAPS)

  def map_latents(self, z):
    unit = lambda z: z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    count = 2 * len(self.convs)
    w = self.mapping(unit(z))
    with torch.no_grad():
      self.average.copy_(w.mean(0).lerp(self.average, self.decay))
    layers = w[:, None].expand(-1, count, -1)
    if not self.mixing:
      return layers
    other = self.mapping(unit(torch.randn_like(z)))[:, None]
    first = torch.randint(1, count, (len(z), 1), device=z.device)
    chance = torch.rand(len(z), 1, device=z.device)
    first = first.masked_fill(chance >= self.mixing, count)
    is_other = torch.arange(count, device=z.device)[None] >= first
    return torch.where(is_other[..., None], other, layers)

  def synthesize(self, w):
    x, image = self.start.expand(len(w), -1, -1, -1), None
    for index, conv in enumerate(self.convs):
      before = x
      if index:
        x = self.ups[index - 1](x, w[:, 2 * index - 1])
      x = conv(x, w[:, 2 * index])
      if index and not self.is_skip:
        x = x + self.skips[index - 1](before)
      if str(index) in self.images:
        part = self.images[str(index)](x, w[:, 2 * index + 1])
        image = part if image is None else part + self.filter.double(image)
    return image

  def forward(self, z, label):
    del label
    return self.synthesize(self.map_latents(z))


class Discriminator(nn.Module):
  def __init__(
    self,
    shape,
    *,
    widths,
    architecture,
    group,
    mapping_layers,
    multiplier,
    num_classes,
  ):
    super().__init__()
    del mapping_layers, multiplier  # of labels
    if num_classes:
      torch_gan.stop('StyleGAN2 with labels')
    *sides, channels = shape
    self.group, self.is_residual = group, architecture == 'residual'
    gain = HALF if self.is_residual else 1.0
    self.image = Conv(channels, widths[0], 1)
    self.convs, self.skips = nn.ModuleList(), nn.ModuleList()
    for width, narrow in itertools.pairwise(widths):
      down = Conv(width, narrow, 3, 'halve', gain=gain)
      self.convs.append(nn.Sequential(Conv(width, width, 3), down))
      if self.is_residual:
        skip = Conv(width, narrow, 1, 'halve', active=False, gain=gain)
        self.skips.append(skip)
    last = widths[-1]
    pixels = math.prod(side // 2 ** (len(widths) - 1) for side in sides)
    self.last = Conv(last + bool(group), last, 3)
    self.hidden = Linear(last * pixels, last, active=True)
    self.logits = Linear(last, 1)

  def forward(self, x, label):
    del label
    x = self.image(x)
    for index, convs in enumerate(self.convs):
      h = convs(x)
      x = h + self.skips[index](x) if self.is_residual else h
    if self.group:
      groups = x.reshape(self.group, -1, *x.shape[1:])
      variance = groups.var(0, unbiased=False)
      deviation = (variance + 1e-8).sqrt().mean((1, 2, 3))
      channel = deviation.repeat(self.group)[:, None, None, None]
      x = torch.cat([x, channel.expand(-1, 1, *x.shape[2:])], 1)
    x = self.hidden(self.last(x).flatten(1))
    return self.logits(x)[:, 0], None


KINDS = {
  'stylegan2.Generator': Generator,
  'stylegan2.Discriminator': Discriminator,
}
