"""Resumes, samples, scores and exports a workdir that old code has written.

  PYTHONPATH=CHECKOUT:tests python -m old_workdirs WORKDIR

prints as JSON what the code of a checkout computes for a copy of the workdir.
`tests/fixtures/workdirs/README.md` says how the expected values were made.
"""

import contextlib
import functools
import importlib.util
import io
import json
import os
import pathlib
import shutil
import sys
import tempfile

import jax
import numpy as np
from absl import flags
from PIL import Image

import jaxgan
from jaxgan import main

CONFIGS = pathlib.Path(jaxgan.__file__).resolve().parents[1] / 'configs'
FOLDER = pathlib.Path(__file__).resolve().parent / 'fixtures' / 'workdirs'

# Fields of all runs, and fields that differ when a run is resumed.
COMMON = {
  'data.source': 'embedded',
  'data.limit': 200,
  'num_steps': 4,
  'batch_size': 8,
  'steps_per_call': 2,
  'log_every': 2,
  'sample_every': 0,
  'checkpoint_every': 4,
  'eval_every': 0,
  'keep': 1,
}
RESUMED = {'num_steps': 8, 'eval_every': 4}
_SMALL_GAN = {
  'data.image_size': 8,
  'latent_size': 4,
  'generator.widths': (8,),
  'discriminator.widths': (8,),
}

# workdir -> config file and fields.
RUNS = {
  'gan': ('gan_mnist', {**_SMALL_GAN, 'conditional': True}),
  'population': ('gan_mnist', {**_SMALL_GAN, 'seeds': 2}),
  'vae': (
    'vae_mnist',
    {
      'data.image_size': 8,
      'latent_size': 4,
      'held_out_samples': 5,
      'encoder.widths': (8,),
      'decoder.widths': (8,),
    },
  ),
  'autoencoder': (
    'autoencoder_mnist',
    {
      'data.image_size': 8,
      'encoder.code_size': 4,
      'encoder.widths': (8,),
      'decoder.widths': (8,),
      'corruption': 0.1,
      'ema_halflife': 100.0,
    },
  ),
  'classifier': (
    'classifier_mnist',
    {
      'data.image_size': 8,
      'network.widths': (4, 8),
      'network.features': 8,
    },
  ),
  'inpaint': (
    'ccgan_mnist',
    {
      'data.image_size': 16,
      'mask.size': 4,
      'generator.widths': (4, 8),
      'discriminator.widths': (4, 4),
      'discriminator.slopes': (0.2, 0.2),
    },
  ),
  'pix2pix': (
    'pix2pix_cifar10',
    {
      'data.name': 'mnist',
      'data.image_size': 8,
      'data.channels': 1,
      'data.pair': 'low:2',
      'generator.widths': (4, 4),
      'discriminator.widths': (4, 4),
    },
  ),
  'cyclegan': (
    'cyclegan_faces',
    {
      'data.classes': ('0', '1'),
      'data.held_out': 0.0,
      'data.image_size': 8,
      'replay_size': 4,
      'generator.widths': (4,),
      'generator.blocks': 1,
      'discriminator.widths': (4,),
      # Else the number of rounds, which a resume changes.
      'generator.optimizer.schedule_images': 64,
      'discriminator.optimizer.schedule_images': 64,
    },
  ),
  # Its rules changed: the split, the order without shuffling, augmentation,
  # the range of 16 bits, and spectral norm.
  'folder': (
    'dcgan_mnist',
    {
      'data.source': 'folder',
      'data.path': 'pictures',
      'data.limit': 0,
      'data.held_out': 0.25,
      'data.shuffle': False,
      'conditional': True,
      'augment': ('color', 'translation', 'cutout'),
      'latent_size': 4,
      'generator.widths': (8, 4),
      'generator.spectral_norm': True,
      'discriminator.widths': (4, 4),
      'discriminator.spectral_norm': True,
    },
  ),
}
# Fields of a resume whose defaults have changed since.
KEPT = {
  'folder': {
    'penalties.r1': 0.3,
    'generator.optimizer.schedule': 'constant',
    'generator.optimizer.schedule_images': 0,
    'discriminator.optimizer.schedule': 'constant',
    'discriminator.optimizer.schedule_images': 0,
  }
}
SIDE, NUM_PICTURES = 12, 27
# Methods that make images from latents.
WITH_LATENTS = ('gan', 'population', 'vae', 'folder')


def write_pictures(folder: pathlib.Path) -> None:
  """Writes the data of the run 'folder': grey pictures of 8 and of 16 bits."""
  x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
  for index in range(NUM_PICTURES):
    pixels = (index * 37 + x * (index % 5 + 3) + y * (index % 7 + 2)) % 256
    is_deep = index % 2
    path = folder / ('deep' if is_deep else 'flat') / f'{index:02d}.pgm'
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (pixels * 257).astype('>u2') if is_deep else pixels.astype('u1')
    head = f'P5 {SIDE} {SIDE} {65535 if is_deep else 255}\n'
    path.write_bytes(head.encode() + values.tobytes())


def config_of(name: str, **changed):
  """Returns the config of a run.

  Args:
    name: a key of `RUNS`.
    **changed: values of other fields.
  """
  file, fields = RUNS[name]
  path = CONFIGS / f'{file}.py'
  spec = importlib.util.spec_from_file_location(file, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config()
  config.update_from_flattened_dict({**COMMON, **fields, **changed})
  return config


def command_of(name: str) -> str:
  """Returns the command that made a workdir."""
  file, fields = RUNS[name]
  words = [
    'python -m jaxgan.main',
    f'--config=configs/{file}.py',
    f'--workdir=workdirs/{name}',
  ]
  for field, value in {**COMMON, **fields}.items():
    text = f'--config.{field}={value}'.replace(' ', '')
    words.append(f"'{text}'" if '(' in text and "'" not in text else text)
  words = [f'"{word}"' if "('" in word else word for word in words]
  return ' \\\n  '.join(words)


def call(*arguments: str) -> str:
  """Runs `python -m jaxgan.main` in this process; returns what it prints."""
  flags.FLAGS(['main', *arguments])
  output = io.StringIO()
  try:
    with contextlib.redirect_stdout(output):
      main.main(['main'])
  finally:
    for flag in flags.FLAGS.flags_by_module_dict()[main.__name__]:
      if not flag.name.startswith('config'):
        flag.unparse()
  return output.getvalue().strip()


def resume(name: str, workdir: pathlib.Path) -> list[dict]:
  """Trains for more rounds; returns the new lines of metrics."""
  before = len(read_lines(workdir / 'metrics.jsonl'))
  train = getattr(jaxgan.train, 'train', jaxgan.train)
  train(config_of(name, **KEPT.get(name, {}), **RESUMED), workdir)
  lines = read_lines(workdir / 'metrics.jsonl')[before:]
  for line in lines:
    line.pop('steps_per_second')
  return lines


def sample(name: str, workdir: pathlib.Path) -> list:
  """Returns two images of the checkpoint as nested lists of bytes."""
  arguments = ['--mode=sample', '--num=2', '--format=images', '--seed=3']
  if name == 'population':
    arguments.append('--member=1')
  folder = pathlib.Path(call(*arguments, f'--workdir={workdir}'))
  images = []
  for path in sorted(folder.glob('*.png')):
    with Image.open(path) as image:
      images.append(np.asarray(image).tolist())
  return images


def evaluate(name: str, workdir: pathlib.Path) -> list[dict]:
  """Returns the lines of scores, without what depends on a classifier."""
  num = 40 if name in WITH_LATENTS else 200
  call('--mode=evaluate', f'--workdir={workdir}', f'--num={num}')
  lines = read_lines(workdir / 'eval.jsonl')
  if name not in WITH_LATENTS:
    return lines
  kept = ('step', 'images', 'member', 'sliced_wasserstein')
  return [
    {k.partition('/')[0]: v for k, v in line.items() if k.startswith(kept)}
    for line in lines
  ]


def export(name: str, workdir: pathlib.Path) -> dict:
  """Returns the exported files, and what each function makes of ones."""
  arguments = ['--mode=export', f'--workdir={workdir}']
  if name == 'population':
    arguments.append('--member=1')
  folder = pathlib.Path(call(*arguments))
  names = {path.name for path in folder.iterdir()}
  made = {'files': sorted(names - {'config.json'})}  # Old exports have none.
  for path in sorted(folder.glob('*.stablehlo')):
    function = jax.export.deserialize(bytearray(path.read_bytes()))
    inputs = [np.ones((2, *x.shape[1:]), x.dtype) for x in function.in_avals]
    images = np.asarray(function.call(*inputs))
    made[path.stem] = images[0].ravel()[:8].tolist()
  return made


def read_lines(path: pathlib.Path) -> list[dict]:
  return [json.loads(line) for line in path.read_text().splitlines()]


def shrink_classifier() -> None:
  """Makes the classifier of scores one that is trained in a moment."""
  whole = jaxgan.presets.classifier

  def small():
    config = whole()
    config.num_steps = 2
    config.network.widths, config.network.features = (2,), 4
    return config

  jaxgan.presets.classifier = small


def actions_of(name: str) -> dict:
  """Returns what can be done with a workdir, by name."""
  actions = {'resume': resume, 'evaluate': evaluate}
  if name in WITH_LATENTS:
    actions['sample'] = sample
  if name != 'classifier':
    actions['export'] = export
  return {key: functools.partial(f, name) for key, f in actions.items()}


def measure(workdir: pathlib.Path) -> dict:
  """Returns the result of every action, each on a copy of a workdir."""
  results = {}
  for action, function in actions_of(workdir.name).items():
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
      write_pictures(pathlib.Path('pictures'))
      copy = pathlib.Path(shutil.copytree(workdir, f'{folder}/run'))
      with contextlib.redirect_stdout(sys.stderr):
        results[action] = function(copy)
  return results


if __name__ == '__main__':
  shrink_classifier()
  with tempfile.TemporaryDirectory() as cache:
    os.environ['XDG_CACHE_HOME'] = cache
    workdir = pathlib.Path(sys.argv[1]).absolute()
    print(json.dumps(measure(workdir), indent=1))
