"""Systems that `benchmarks/speed.py` times, and jaxgan's side of a system.

  python -m benchmarks.systems NAME RECIPE

`benchmarks/speed.py` starts this process, which answers as `peers/serving.py`
does. It prints a line of JSON, then seconds and memory for every number of
rounds. On the request 'bound' it prints the least time of a round.
"""

import json
import sys

import jax

from benchmarks import experiment, timing
from benchmarks.peers import serving
from jaxgan import config as config_lib
from jaxgan import errors, steps
from jaxgan.training import devices as devices_lib
from jaxgan.training import dry_run, summary

BATCH_SIZE = 64
# name -> config, or config:variant.
SYSTEMS = {
  'gan': 'gan_mnist',
  'dcgan_tutorial': 'dcgan_mnist:tutorial',
  'dcgan': 'dcgan_mnist',
  'cgan': 'cgan_mnist',
  'ccgan': 'ccgan_mnist:tutorial',
  'wgan_gp': 'wgan_mnist:gp',
  'autoencoder': 'autoencoder_mnist:convolutional',
  'vae': 'vae_mnist:tutorial',
}
# Those of networks from 2018 on, of which Keras has no peer: narrow, on images
# of 32 x 32 pixels and three channels, in batches of their own.
RECENT = {
  'sngan': 'sngan_cifar10',
  'sagan': 'sagan_cifar10',
  'biggan': 'biggan_cifar10',
  'stylegan2': 'stylegan2_cifar10',
  'r3gan': 'r3gan_cifar10',
}
# What both sides do, where recipes differ in it.
CHANGED = {
  'batch_size': BATCH_SIZE,
  'fakes': 'batch',
  'label_smoothing.real': 0.1,
  'label_smoothing.generator': False,
  'data.source': 'embedded',
  'data.shuffle': True,
}
# Of single configs, so that tables of before and after stay comparable.
KEPT = {
  'dcgan_mnist': {
    'discriminator.widths': (32, 64),
    'generator.optimizer.schedule': 'constant',
    'discriminator.optimizer.schedule': 'constant',
  }
}
CHANGED_RECENT = {
  'data.source': 'embedded',
  'data.name': 'mnist',
  'data.channels': 3,
  'data.image_size': 32,
  'data.shuffle': True,
  'fakes': 'batch',
  'schedules': '',
}
# Losses without labels to smooth.
NOT_SMOOTH = ('wasserstein', 'hinge', 'relativistic_pairing')
# recipe -> changed fields: none, or without average and R1
RECIPES = {
  'default': {},
  'plain': {'ema_halflife': 0.0, 'penalties.r1': 0.0},
}


def load(name: str, recipe: str = 'default'):
  """Returns the config of a system, by a row of `RECIPES`."""
  known = SYSTEMS | RECENT
  if name not in known:
    raise errors.unknown('--systems', name, known)
  config = experiment.load(known[name])
  changed = CHANGED_RECENT if name in RECENT else CHANGED
  changed = changed | KEPT.get(known[name], {}) | RECIPES[recipe]
  if 'label_smoothing.real' in config_lib.flatten(config):
    smooth = (
      0.0 if config.loss in NOT_SMOOTH else CHANGED['label_smoothing.real']
    )
    changed['label_smoothing.real'] = smooth
  known = config_lib.flatten(config)
  changed = {k: v for k, v in changed.items() if k in known}
  if 'discriminator_batches' in known:  # Equal without batch norm.
    has_r1 = bool((known | changed)['penalties.r1'])
    changed['discriminator_batches'] = 'separate' if has_r1 else 'joint'
  config = experiment.changed(config, changed)
  config_lib.validate(config)
  return config


def counts(algorithm, method) -> dict[str, int]:
  """Counts trained parameters by network."""
  return {
    name: summary.parameter_counts(module, *inputs)[1]
    for name, (module, inputs) in algorithm.modules(method).items()
  }


def task_of(config, spec) -> dict:
  """Returns the description of a system for the peers.

  Args:
    config: a result of `load`.
    spec: shape and classes of the data.
  """
  algorithm = steps.find(config.method)
  modules = algorithm.modules(algorithm.from_config(config, spec))
  penalties = dict(config.get('penalties', {}))
  halflife = config.ema_halflife
  return {
    'method': config.method,
    'batch_size': config.batch_size,
    'shape': spec.shape,
    'loss': config.get('loss'),
    'latent_size': config.get('latent_size'),
    'discriminator_steps': config.get('discriminator_steps'),
    'class_weight': config.get('class_weight'),
    'mask_size': config.mask.size if 'mask' in config else 0,
    'r1': penalties.get('r1', 0.0),
    'r2': penalties.get('r2', 0.0),
    'penalties_every': config.get('penalties_every', 1),
    'gradient_penalty': penalties.get('gradient_penalty', 0.0),
    # Step of the average towards new weights.
    'average': 1 - 0.5 ** (config.batch_size / halflife) if halflife else 0,
    'networks': {k: experiment.describe(m) for k, (m, _) in modules.items()},
    'optimizers': {k: dict(config[k].optimizer) for k in modules},
  }


def bound(built) -> tuple[float, str]:
  """Returns the least seconds of a round on this machine, and the limit.

  The limit is 'product' for the operations at the speed of a large matrix
  product, or 'copy' for the bytes at the speed of a large copy. Both speeds
  come from `jaxgan.training.dry_run`.

  Args:
    built: a built run.
  """
  device, *_ = built.engine.mesh.local_devices
  flops, num_bytes, _ = dry_run.costs(built)
  best = dry_run.ceilings(device, built.config.precision)
  return max(
    (flops / best.flops, 'product'), (num_bytes / best.num_bytes, 'copy')
  )


def serve(name: str, recipe: str) -> None:
  """Trains in the process of jaxgan's side."""
  devices_lib.use_compilation_cache()
  devices_lib.use_float32()
  trainer = timing.Trainer(load(name, recipe))
  built, device = trainer.built, jax.devices()[0]
  report = {
    'version': jax.__version__,
    'parameters': counts(built.algorithm, built.method),
    'device': device.device_kind,
  }
  print(json.dumps(report), flush=True)
  for line in sys.stdin:
    if line.strip() == 'bound':
      print(*bound(built), flush=True)
      continue
    seconds = trainer.run(int(line))
    stats = device.memory_stats() or {}
    memory = stats.get('peak_bytes_in_use', serving.host_memory())
    print(seconds, memory, flush=True)


if __name__ == '__main__':
  serve(*sys.argv[1:])
