"""The MNIST GAN of the tutorial in PyTorch; run by `benchmarks/speed.py`.

Modes: 'eager', as tutorials write it; 'tuned', with the fused optimizer and one
call of the discriminator on reals and fakes; 'compile', that compiled.

Prints version and parameter counts, then for every number of rounds on a line
of standard input the seconds that they took.
"""

import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

LATENT = 100


def generator():
  layers, width = [], LATENT
  for units in (128, 256, 512):
    layers += [nn.Linear(width, units), nn.LeakyReLU(0.2)]
    layers += [nn.BatchNorm1d(units, eps=1e-3, momentum=0.2)]
    width = units
  return nn.Sequential(*layers, nn.Linear(width, 784), nn.Tanh())


def discriminator():
  layers, width = [], 784
  for units in (128, 256, 512):
    layers += [nn.Linear(width, units), nn.LeakyReLU(0.2)]
    width = units
  return nn.Sequential(*layers, nn.Linear(width, 1))


def main(mode, images, batch_size, r1, halflife):
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  batch_size, r1, halflife = int(batch_size), float(r1), float(halflife)
  data = torch.from_numpy(np.load(images)).reshape(-1, 784).to(device)
  g, d = generator().to(device), discriminator().to(device)
  average = generator().to(device).requires_grad_(False)
  is_tuned = mode != 'eager'
  adam = {'lr': 2e-4, 'betas': (0.5, 0.999), 'fused': is_tuned or None}
  g_optimizer = torch.optim.Adam(g.parameters(), **adam)
  d_optimizer = torch.optim.Adam(d.parameters(), **adam)
  smoothing = 0.1 if not r1 else 0.0
  targets = torch.cat(
    [torch.full((batch_size, 1), 1.0 - smoothing), torch.zeros(batch_size, 1)]
  ).to(device)
  ones = torch.ones(batch_size, 1, device=device)
  decay = 0.5 ** (batch_size / halflife) if halflife else 0.0

  def one_round():
    rows = torch.randint(len(data), (batch_size,), device=device)
    real = data[rows].float().div_(127.5).sub_(1.0)
    with torch.no_grad():
      fake = g(torch.randn(batch_size, LATENT, device=device))
    d_optimizer.zero_grad(set_to_none=True)
    penalty = 0.0
    if is_tuned and not r1:
      logits = d(torch.cat([real, fake]))
    else:
      real.requires_grad_(bool(r1))
      real_logits, fake_logits = d(real), d(fake)
      logits = torch.cat([real_logits, fake_logits])
    if r1:
      (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
      penalty = r1 * slope.square().sum(1).mean()
    # The mean over both halves is half of the sum of their means.
    loss = 2.0 * functional.binary_cross_entropy_with_logits(logits, targets)
    (loss + penalty).backward()
    d_optimizer.step()

    g_optimizer.zero_grad(set_to_none=True)
    logits = d(g(torch.randn(batch_size, LATENT, device=device)))
    functional.binary_cross_entropy_with_logits(logits, ones).backward()
    g_optimizer.step()
    if halflife:
      with torch.no_grad():
        torch._foreach_lerp_(
          list(average.parameters()), list(g.parameters()), 1.0 - decay
        )

  if mode == 'compile':
    one_round = torch.compile(one_round)
  counts = [sum(p.numel() for p in net.parameters()) for net in (g, d)]
  print(torch.__version__, *counts, flush=True)
  for line in sys.stdin:
    began = time.perf_counter()
    for _ in range(int(line)):
      one_round()
    if device == 'cuda':
      torch.cuda.synchronize()
    print(time.perf_counter() - began, flush=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
