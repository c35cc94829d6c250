"""GANs of MNIST as PyTorch tutorials train them; run by `quality.py`.

  python torch_quality.py FOLDER

FOLDER holds `task.json`, which describes the networks by the fields of
`jaxgan.models`, `images.npy` (uint8 [N, H, W, C]) and, for networks that take
labels, `labels.npy` [N]. Written is `samples.npy`, uint8 [num, H, W, C], of all
classes in turn; printed a line of JSON.

The layers are those described, and everything else is a tutorial's: eager, both
players stepped once a round on the same fakes, the discriminator called twice,
no penalty, no average, samples by running statistics. Logistic losses with
labels of reals at 0.9 or least squares take Adam, a Wasserstein loss RMSprop,
clipped weights and five steps of the critic. Kernels of convolutions begin as
the DCGAN tutorial of PyTorch has it, others as torch's layers do. Memory has
channels last: 10 to 19 % more rounds of DCGAN for a second of one core, in four
turns with torch 2.13.0.
"""

import inspect
import itertools
import json
import math
import pathlib
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

BATCH_SIZE = 64
EPSILON = 1e-3  # of batch norm, as in `jaxgan.layers`
CHUNK = 500  # samples at a time
# Fields of a description that belong to a recipe, or say how others are read.
NOT_LAYERS = ('initializer', 'first_initializer', 'conditioning')


def stop(said):
  sys.exit(f'error: the PyTorch peer has no {said}')


def batch_norm(kind, channels, momentum, layer=nn.BatchNorm2d):
  """A list of one layer, or of none; torch's momentum is of the new batch."""
  if kind == 'none':
    return []
  if kind != 'batch':
    stop(f'norm={kind!r}')
  return [layer(channels, eps=EPSILON, momentum=1.0 - momentum)]


def with_label(x, label, num_classes):
  """[B, D] and labels [B] to [B, D + num_classes]."""
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
  """A 'SAME' convolution of images [inputs, *size], and the size after it."""
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
  """A 'SAME' transposed convolution as XLA pads it, and the size after it."""
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
    num_classes,
  ):
    super().__init__()
    *final, channels = shape
    self.num_classes = num_classes
    size = [-(-n // math.prod(strides)) for n in final]
    units = math.prod(size) * widths[0]
    layers = [nn.Linear(inputs + num_classes, units, bias=dense_bias)]
    if flat_norm:
      layers += batch_norm(norm, units, momentum, nn.BatchNorm1d)
    layers += [nn.Unflatten(1, (widths[0], *size))]
    if not flat_norm:
      layers += batch_norm(norm, widths[0], momentum)
    layers += [nn.LeakyReLU(slope)]
    width = widths[0]
    for place, stride in enumerate(strides):
      is_last = place == len(strides) - 1
      features = channels if is_last else widths[place + 1]
      if upsampling == 'resize':
        layers += [nn.Upsample(scale_factor=stride)]
        size = [n * stride for n in size]
        further, size = conv(size, width, features, kernel, 1, bias)
      else:
        further, size = conv_transpose(
          size, width, features, kernel, stride, bias
        )
      layers += further
      if not is_last:
        layers += [*batch_norm(norm, features, momentum), nn.LeakyReLU(slope)]
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
    num_classes,
  ):
    super().__init__()
    *size, channels = shape
    layers = []
    for place, features in enumerate(widths):
      stride = strides[place] if strides else 2
      further, size = conv(size, channels, features, kernel, stride, bias)
      layers += further
      if place:
        layers += batch_norm(norm, features, momentum)
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
  """Normal kernels of deviation 0.02 (Radford et al. 2015, section 4)."""
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


def build(inputs, fields):
  """The network that fields of a module of `jaxgan.models` describe."""
  fields = dict(fields)
  kind = fields.pop('kind')
  if kind not in KINDS:
    stop(kind)
  conditioning = fields.get('conditioning', 'concat')
  if fields['num_classes'] and conditioning not in ('concat', 'auxiliary'):
    stop(f'conditioning={conditioning!r}')
  taken = inspect.signature(KINDS[kind]).parameters
  for name, value in fields.items():
    if name not in taken and name not in NOT_LAYERS and value:
      stop(f'{kind} with {name}={value!r}')
  return KINDS[kind](inputs, **{k: v for k, v in fields.items() if k in taken})


def logistic(logits, target):
  return functional.binary_cross_entropy_with_logits(
    logits, torch.full_like(logits, target)
  )


def least_squares(logits, target):
  return functional.mse_loss(logits, torch.full_like(logits, target))


# name -> (the discriminator's loss of logits of reals and fakes, the
# generator's of fakes).
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
}


def batches(images, labels):
  """Reals in [-1, 1] and their labels, in an order of its own every epoch."""
  while True:
    order = torch.randperm(len(images), device=images.device)
    for rows in order.split(BATCH_SIZE):
      if len(rows) == BATCH_SIZE:
        yield images[rows].float() / 127.5 - 1.0, labels[rows]


def main(folder):
  folder = pathlib.Path(folder)
  task = json.loads((folder / 'task.json').read_text())
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  images = np.load(folder / 'images.npy').transpose(0, 3, 1, 2)
  images = torch.from_numpy(np.ascontiguousarray(images)).to(device)
  labels = torch.from_numpy(np.load(folder / 'labels.npy')).long().to(device)
  latent, num_classes = task['latent_size'], task['generator']['num_classes']
  if task['loss'] not in LOSSES:
    stop(f'loss={task["loss"]!r}')
  d_loss, g_loss = LOSSES[task['loss']]
  torch.manual_seed(task['seed'])

  began = time.perf_counter()
  g = build(latent, task['generator'])
  d = build(task['generator']['shape'], task['discriminator'])
  for net in (g, d):
    net.to(device, memory_format=torch.channels_last)
  is_wasserstein = task['loss'] == 'wasserstein'
  d_steps = 5 if is_wasserstein else 1
  optimizers = []
  for net in (g, d):
    if is_wasserstein:
      optimizer = torch.optim.RMSprop(net.parameters(), lr=5e-5)
    else:
      optimizer = torch.optim.Adam(
        net.parameters(), lr=2e-4, betas=(0.5, 0.999)
      )
    optimizers.append(optimizer)
  g_optimizer, d_optimizer = optimizers
  reals = batches(images, labels)
  rounds = 0
  while time.perf_counter() - began < task['seconds']:
    for real, label in itertools.islice(reals, d_steps):
      fake = g(torch.randn(BATCH_SIZE, latent, device=device), label)
      d_optimizer.zero_grad()
      on_real, said_of_real = d(real, label)
      on_fake, said_of_fake = d(fake.detach(), label)
      loss = d_loss(on_real, on_fake)
      if said_of_real is not None:
        loss = loss + functional.cross_entropy(said_of_real, label)
        loss = loss + functional.cross_entropy(said_of_fake, label)
      loss.backward()
      d_optimizer.step()
      if is_wasserstein:
        for parameter in d.parameters():
          parameter.data.clamp_(-0.01, 0.01)
    g_optimizer.zero_grad()
    on_fake, said = d(fake, label)
    loss = g_loss(on_fake)
    if said is not None:
      loss = loss + functional.cross_entropy(said, label)
    loss.backward()
    g_optimizer.step()
    rounds += 1
    loss.item()  # As if it were logged: the clock waits for the device.

  g.eval()
  samples = []
  label = torch.arange(task['num'], device=device) % max(num_classes, 1)
  with torch.no_grad():
    for part in label.split(CHUNK):
      made = g(torch.randn(len(part), latent, device=device), part)
      samples.append(((made + 1.0) * 127.5).round().clamp(0, 255).byte())
  samples = torch.cat(samples).permute(0, 2, 3, 1).cpu().numpy()
  np.save(folder / 'samples.npy', samples)
  parameters = {
    name: sum(p.numel() for p in net.parameters())
    for name, net in (('generator', g), ('discriminator', d))
  }
  print(
    json.dumps(
      {
        'version': torch.__version__,
        'parameters': parameters,
        'rounds': rounds,
        'reals': rounds * d_steps * BATCH_SIZE,
      }
    )
  )


if __name__ == '__main__':
  main(*sys.argv[1:])
