"""Trains one system in PyTorch; run by `benchmarks/speed.py`.

  python torch_speed.py MODE TASK IMAGES LABELS

Modes:

  eager: as in tutorials.
  tuned: with the fused optimizer and, without R1, one call of the discriminator
    on reals and fakes.
  compile: the tuned round through `torch.compile`. Penalties stay eager, as
    compiled functions have no second derivative.
  graphs: the tuned round as one CUDA graph.

TASK is a JSON file with the networks, described by the fields of
`jaxgan.models`, and the recipe. IMAGES and LABELS are arrays in files. The
output is that of `serving.serve`.
"""

import copy
import functools
import itertools
import json

import numpy as np
import serving
import torch
import torch_gan
import torch_networks
import torch_r3gan
import torch_resnet
import torch_stylegan2
from torch.nn import functional

KINDS = (
  torch_gan.KINDS
  | torch_resnet.KINDS
  | torch_r3gan.KINDS
  | torch_stylegan2.KINDS
)


def squared_slopes(d, x, label):
  """Returns logits of x, and squared norms [B] of their gradients."""
  x.requires_grad_()
  logits = d(x, label)[0]
  (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
  return logits, slope.flatten(1).square().sum(1)


def fields(task, player, *names):
  return {name: task['networks'][player][name] for name in names}


def both(d, is_joint, real, fake, *label):
  """Returns outputs of d for reals and fakes, from one call or two."""
  if not is_joint:
    return d(real, *label), d(fake, *label)
  outputs = d(torch.cat([real, fake]), *(torch.cat([x, x]) for x in label))
  halves = [(x, x) if x is None else x.chunk(2) for x in outputs]
  return tuple(zip(*halves, strict=True))


def latent_game(task, draw, device, trained):
  """Returns networks and round of `steps.gan`; updates draw new latents."""
  g = torch_gan.build(task['latent_size'], task['networks']['generator'], KINDS)
  d = torch_gan.build(task['shape'], task['networks']['discriminator'], KINDS)
  d_loss, g_loss = torch_gan.LOSSES[task['loss']]
  g_adam, d_adam = trained(g, 'generator'), trained(d, 'discriminator')
  average = copy.deepcopy(g).requires_grad_(False)
  r1, r2, weight = task['r1'], task['r2'], task['gradient_penalty']
  every, counted = task['penalties_every'], itertools.count()
  is_paired = task['loss'] in torch_gan.PAIRED
  slopes = torch.compiler.disable(squared_slopes)

  def latents(count):
    return torch.randn(count, task['latent_size'], device=device)

  def one_round():
    for _ in range(task['discriminator_steps']):
      real, label = draw()
      with torch.no_grad():
        fake = g(latents(len(real)), label)
      d_adam.zero_grad(set_to_none=True)
      penalty = 0.0
      if r1 and every == 1:
        on_real, squares = slopes(d, real, label)
        penalty = r1 * squares.mean()
        if r2:
          on_fake, squares = slopes(d, fake, label)
          penalty = penalty + r2 * squares.mean()
        else:
          on_fake, _ = d(fake, label)
      else:
        (on_real, _), (on_fake, _) = both(d, task['joint'], real, fake, label)
      if weight:
        mix = torch.rand(len(real), 1, 1, 1, device=device)
        _, squares = slopes(d, torch.lerp(real, fake, mix), label)
        penalty = weight * (squares.add(1e-12).sqrt() - 1).square().mean()
      (d_loss(on_real, on_fake) + penalty).backward()
      d_adam.step()
      if r1 and every > 1 and next(counted) % every == 0:
        d_adam.zero_grad(set_to_none=True)
        (every * r1 * slopes(d, real, label)[1].mean()).backward()
        d_adam.step()
    g_adam.zero_grad(set_to_none=True)
    on_fake = d(g(latents(len(real)), label), label)[0]
    if is_paired:
      with torch.no_grad():
        on_real = d(real, label)[0]
    (g_loss(on_fake, on_real) if is_paired else g_loss(on_fake)).backward()
    g_adam.step()
    if task['average']:
      with torch.no_grad():
        torch._foreach_lerp_(
          list(average.parameters()), list(g.parameters()), task['average']
        )

  return {'generator': g, 'discriminator': d}, one_round


def completion(task, draw, device, trained):
  """Returns networks and round of `steps.inpaint` with least squares."""
  names = ('widths', 'kernel', 'slope', 'momentum')
  g = torch_networks.UNet(task['shape'], **fields(task, 'generator', *names))
  names = ('widths', 'kernel', 'slopes', 'num_classes')
  d = torch_networks.PatchDiscriminator(
    task['shape'], **fields(task, 'discriminator', *names)
  )
  g_adam, d_adam = trained(g, 'generator'), trained(d, 'discriminator')
  size, side = task['mask_size'], task['shape'][0]
  places = torch.arange(side, device=device)
  num_classes = task['networks']['discriminator']['num_classes']

  def holes(image):
    corner = torch.randint(side - size + 1, (2, len(image), 1), device=device)
    inside = (places >= corner) & (places < corner + size)
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return image.masked_fill(hole, 0.0)

  def one_round():
    real, label = draw()
    with torch.no_grad():
      fake = g(holes(real))
    d_adam.zero_grad(set_to_none=True)
    (on_real, of_real), (on_fake, of_fake) = both(d, task['joint'], real, fake)
    loss = (on_real - 0.9).square().mean() + on_fake.square().mean()
    loss = loss + task['class_weight'] * (
      functional.cross_entropy(of_real, label)
      + functional.cross_entropy(of_fake, torch.full_like(label, num_classes))
    )
    loss.backward()
    d_adam.step()
    g_adam.zero_grad(set_to_none=True)
    (d(g(holes(real)))[0] - 1.0).square().mean().backward()
    g_adam.step()

  return {'generator': g, 'discriminator': d}, one_round


def coder(task, draw, device, trained):
  """Returns networks and round of `steps.autoencoder` or `steps.vae`."""
  is_vae = task['method'] == 'vae'
  encoder, decoder = (task['networks'][name] for name in ('encoder', 'decoder'))
  if is_vae:
    pixels = int(np.prod(task['shape']))
    latent = task['latent_size']
    e = torch_networks.dense([pixels, *encoder['widths'], 2 * latent])
    d = torch_networks.dense([latent, *decoder['widths'], pixels])
  else:
    e = torch_networks.conv_encoder(task['shape'], **encoder)
    d = torch_networks.conv_decoder(encoder['widths'][-1], **decoder)
  nets = {'encoder': e, 'decoder': d}
  adams = [trained(net, name) for name, net in nets.items()]

  def one_round():
    pixels = (draw()[0] + 1.0) / 2.0
    kl = 0.0
    if is_vae:
      pixels = pixels.flatten(1)
      mean, log_variance = e(pixels).chunk(2, 1)
      code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
      terms = mean.square() + log_variance.exp() - 1.0 - log_variance
      kl = 0.5 * terms.sum(1).mean()
    else:
      code = e(pixels)
    loss = functional.binary_cross_entropy_with_logits(
      d(code), pixels, reduction='sum' if is_vae else 'mean'
    )
    loss = loss / len(pixels) + kl if is_vae else loss
    for adam in adams:
      adam.zero_grad(set_to_none=True)
    loss.backward()
    for adam in adams:
      adam.step()

  return nets, one_round


METHODS = {
  'gan': latent_game,
  'inpaint': completion,
  'autoencoder': coder,
  'vae': coder,
}


def captured(one_round):
  """Returns the round as one CUDA graph."""
  stream = torch.cuda.Stream()
  stream.wait_stream(torch.cuda.current_stream())
  with torch.cuda.stream(stream):
    for _ in range(3):
      one_round()
  torch.cuda.current_stream().wait_stream(stream)
  graph = torch.cuda.CUDAGraph()
  with torch.cuda.graph(graph):
    one_round()
  return graph.replay


# mode -> function of a round that returns the timed round
MODES = {
  'eager': lambda one_round: one_round,
  'tuned': lambda one_round: one_round,
  'compile': torch.compile,
  'graphs': captured,
}


def build(mode, task, images, labels, device):
  """Returns networks by name, and their round."""
  is_tuned = mode != 'eager'
  images = np.ascontiguousarray(np.load(images).transpose(0, 3, 1, 2))
  images = torch.from_numpy(images).to(device)
  labels = torch.from_numpy(np.load(labels)).long().to(device)
  task['joint'] = is_tuned

  def draw():
    rows = torch.randint(len(images), (task['batch_size'],), device=device)
    return images[rows].float().div(127.5).sub(1.0), labels[rows]

  def trained(net, name):
    """Moves a network to the device, and returns its optimizer."""
    net.to(device, memory_format=torch.channels_last)
    settings = task['optimizers'][name]
    return torch.optim.Adam(
      net.parameters(),
      lr=settings['learning_rate'],
      betas=(settings['b1'], settings['b2']),
      eps=settings['eps'],
      fused=is_tuned or None,
      capturable=mode == 'graphs',
    )

  return METHODS[task['method']](task, draw, device, trained)


def main(mode, task, images, labels):
  with open(task, encoding='utf-8') as file:
    task = json.load(file)
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  # Full float32 products, as in jaxgan.
  torch.backends.cudnn.allow_tf32 = False
  torch.backends.cudnn.benchmark = mode != 'eager'
  nets, one_round = build(mode, task, images, labels, device)
  counts = {k: sum(p.numel() for p in v.parameters()) for k, v in nets.items()}
  about = {'version': torch.__version__, 'parameters': counts}
  ready = functools.cache(lambda: MODES[mode](one_round))

  def run(rounds):
    for _ in range(rounds):
      ready()()
    if device == 'cuda':
      torch.cuda.synchronize()

  def memory():
    if device == 'cuda':
      return torch.cuda.max_memory_allocated()
    return serving.host_memory()

  serving.serve(about, run, memory)


if __name__ == '__main__':
  serving.start(main)
