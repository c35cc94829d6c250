"""Networks of `torch_speed.py` that `torch_gan.py` does not have.

Layers and fields are those of `jaxgan.models.inpaint` and `.autoencoder`.
"""

import itertools

import torch
import torch_gan
from torch import nn


def same(inputs, outputs, size, kernel, stride=1):
  return torch_gan.conv(size, inputs, outputs, kernel, stride, bias=True)


class UNet(nn.Module):
  """A copy of `inpaint.UNet`, for image sizes that all scales divide."""

  def __init__(self, shape, *, widths, kernel, slope, momentum):
    super().__init__()
    *size, channels = shape
    self.down, self.up = nn.ModuleList(), nn.ModuleList()
    width, sizes = channels, []
    for index, features in enumerate(widths):
      layers, size = same(width, features, size, kernel, 2)
      layers += [nn.LeakyReLU(slope)]
      if index:
        layers += torch_gan.batch_norm('batch', features, momentum)
      self.down.append(nn.Sequential(*layers))
      width = features
      sizes.append(size)
    for features, size in zip(widths[-2::-1], sizes[-2::-1], strict=True):
      layers, _ = same(width, features, size, kernel)
      norm = torch_gan.batch_norm('batch', features, momentum)
      self.up.append(
        nn.Sequential(nn.Upsample(scale_factor=2), *layers, nn.ReLU(), *norm)
      )
      width = 2 * features
    layers, _ = same(width, channels, shape[:2], kernel)
    self.last = nn.Sequential(nn.Upsample(scale_factor=2), *layers, nn.Tanh())

  def forward(self, x):
    scales = []
    for layer in self.down:
      x = layer(x)
      scales.append(x)
    for layer, like in zip(self.up, scales[-2::-1], strict=True):
      x = torch.cat([layer(x), like], 1)
    return self.last(x)


class PatchDiscriminator(nn.Module):
  def __init__(self, shape, *, widths, kernel, slopes, num_classes):
    super().__init__()
    *size, width = shape
    layers = []
    for features, slope in zip(widths, slopes, strict=True):
      added, size = same(width, features, size, kernel, 2)
      layers += [*added, nn.LeakyReLU(slope)]
      width = features
    self.layers = nn.Sequential(*layers)
    self.logits = nn.Sequential(*same(width, 1, size, kernel)[0])
    self.classes = nn.Linear(width * size[0] * size[1], num_classes + 1)

  def forward(self, x):
    x = self.layers(x)
    return self.logits(x), self.classes(x.flatten(1))


def conv_encoder(shape, *, widths, **_):
  *size, width = shape
  layers = []
  for features in widths:
    layers += same(width, features, size, 3)[0]
    layers += [nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
    size, width = [-(-n // 2) for n in size], features
  return nn.Sequential(*layers)


def conv_decoder(inputs, *, shape, widths, **_):
  sizes, width = [shape[:2]], inputs
  for _ in widths:
    sizes.append([-(-n // 2) for n in sizes[-1]])
  layers = []
  for size, features in zip(sizes[-2::-1], widths, strict=True):
    layers += [nn.Upsample(scale_factor=2), torch_gan.Crop(*size)]
    layers += [*same(width, features, size, 3)[0], nn.ReLU()]
    width = features
  return nn.Sequential(*layers, *same(width, shape[-1], shape[:2], 3)[0])


def dense(widths):
  layers = []
  for inputs, outputs in itertools.pairwise(widths):
    layers += [nn.Linear(inputs, outputs), nn.ReLU()]
  return nn.Sequential(*layers[:-1])
