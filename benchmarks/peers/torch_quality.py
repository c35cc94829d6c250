"""Trains MNIST GANs as PyTorch tutorials do; run by `benchmarks/quality.py`.

  python torch_quality.py FOLDER

FOLDER holds `task.json`, which describes the networks by the fields of
`jaxgan.models`, `images.npy` (uint8 [N, H, W, C]) and `labels.npy` [N]. After
each time of training in the task's `seconds`, the script writes
`samples_INDEX.npy`, uint8 [num, H, W, C], of all classes in turn. It prints a
line of JSON at its end, with (seconds, rounds, reals seen) for each time.
Making samples does not count as training.

The recipe is a tutorial's: eager, one update of each player per round on the
same fakes, and two calls of the discriminator. There is no penalty, no average,
and samples use running statistics. Logistic losses with labels of reals at 0.9
and least squares take Adam. A Wasserstein loss takes RMSprop, clipped weights
and five steps of the critic. Memory has channels last, which is faster.
"""

import itertools
import json
import pathlib
import sys
import time

import numpy as np
import torch
import torch_gan
from torch.nn import functional

BATCH_SIZE = 64
CHUNK = 500  # samples at a time


def batches(images, labels):
  """Yields reals in [-1, 1] and labels; each epoch has another order."""
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
  latent = task['latent_size']
  if task['loss'] not in torch_gan.LOSSES:
    torch_gan.stop(f'loss={task["loss"]!r}')
  d_loss, g_loss = torch_gan.LOSSES[task['loss']]
  torch.manual_seed(task['seed'])

  start = time.perf_counter()
  g = torch_gan.build(latent, task['generator'])
  d = torch_gan.build(task['generator']['shape'], task['discriminator'])
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
  real_batches = batches(images, labels)

  def one_round():
    for real, label in itertools.islice(real_batches, d_steps):
      fake = g(torch.randn(BATCH_SIZE, latent, device=device), label)
      d_optimizer.zero_grad()
      on_real, classes_of_real = d(real, label)
      on_fake, classes_of_fake = d(fake.detach(), label)
      loss = d_loss(on_real, on_fake)
      if classes_of_real is not None:
        loss = loss + functional.cross_entropy(classes_of_real, label)
        loss = loss + functional.cross_entropy(classes_of_fake, label)
      loss.backward()
      d_optimizer.step()
      if is_wasserstein:
        for parameter in d.parameters():
          parameter.data.clamp_(-0.01, 0.01)
    g_optimizer.zero_grad()
    on_fake, classes = d(fake, label)
    loss = g_loss(on_fake)
    if classes is not None:
      loss = loss + functional.cross_entropy(classes, label)
    loss.backward()
    g_optimizer.step()
    loss.item()  # Waits for the device, as logging would.

  rounds, reports = 0, []
  for index, limit in enumerate(task['seconds']):
    while time.perf_counter() - start < limit:
      one_round()
      rounds += 1
    paused = time.perf_counter()
    reals = rounds * d_steps * BATCH_SIZE
    reports.append((paused - start, rounds, reals))
    np.save(folder / f'samples_{index}.npy', sample(g, task, device))
    start += time.perf_counter() - paused
  parameters = {
    name: sum(p.numel() for p in net.parameters())
    for name, net in (('generator', g), ('discriminator', d))
  }
  about = {'version': torch.__version__, 'parameters': parameters}
  print(json.dumps(about | {'reports': reports}))


@torch.no_grad()
def sample(g, task, device):
  """Returns samples [num, H, W, C] in uint8, of all classes in turn."""
  num, classes = task['num'], max(task['generator']['num_classes'], 1)
  g.eval()
  samples = []
  for label in (torch.arange(num, device=device) % classes).split(CHUNK):
    made = g(torch.randn(len(label), task['latent_size'], device=device), label)
    samples.append(((made + 1.0) * 127.5).round().clamp(0, 255).byte())
  g.train()
  return torch.cat(samples).permute(0, 2, 3, 1).cpu().numpy()


if __name__ == '__main__':
  main(*sys.argv[1:])
