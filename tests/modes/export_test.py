"""--mode=export: the files give the images of the run, with JAX alone."""

import dataclasses
import hashlib
import json
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import errors, steps
from jaxgan.adversarial import completion
from jaxgan.core import latents as latents_lib
from jaxgan.models import autoencoder as coders
from jaxgan.models import dcgan, mlp, translate
from jaxgan.models import inpaint as completers
from jaxgan.modes import export
from jaxgan.modes import restore as restore_lib
from jaxgan.steps import (
  autoencoder,
  cyclegan,
  gan,
  inpaint,
  pix2pix,
  vae,
)
from tests.modes.sample_test import finished_run

ROOT = pathlib.Path(__file__).parents[2]
SHAPE = (8, 7, 3)
IMAGES = jax.random.uniform(jax.random.key(1), (5, *SHAPE), minval=-1.0)


def run_alone(code: str, cwd) -> None:
  """Runs code in a fresh process that has neither Flax nor jaxgan."""
  absent = "import sys; sys.modules |= {'flax': None, 'jaxgan': None}\n"
  process = subprocess.run(
    [sys.executable, '-c', absent + code],
    cwd=cwd,
    capture_output=True,
    text=True,
    timeout=240,
  )
  assert process.returncode == 0, process.stderr


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
  """The default network, untrained, and its exported files."""
  folder = tmp_path_factory.mktemp('digits') / 'runs' / 'gan_mnist'
  fields = {'data.image_size': 28, 'latent_size': 100}
  finished_run(folder, **fields | {'generator.widths': (128, 256, 512)})
  return folder, export.export(folder)


def test_readers_in_the_docs_make_the_images_of_the_run(digits):
  """Both make the images of the run, to 1e-5."""
  workdir, _ = digits
  page = (ROOT / 'docs' / 'export.md').read_text()
  readers = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
  readers = [code for code in readers if 'import jaxgan' not in code]
  assert len(readers) == 2
  save = "\nimport numpy\nnumpy.savez('found{}.npz', a=latents, b=images)\n"
  folder = workdir.parents[1]
  code = [reader + save.format(n) for n, reader in enumerate(readers)]
  run_alone(''.join(code), folder)
  run = restore_lib.restore(workdir)
  state = jax.jit(gan.use_ema_weights, static_argnums=0)(run.method, run.state)
  for n in range(2):
    with np.load(folder / f'found{n}.npz') as found:
      expected = gan.decode(run.method, state, found['a'])
      assert found['b'].shape == (16, 28, 28, 1)
      np.testing.assert_allclose(found['b'], expected, atol=1e-5)


def test_export_json_describes_the_files(digits):
  workdir, folder = digits
  assert folder == workdir / 'export' / 'step_00000000'
  about = json.loads((folder / 'export.json').read_text())
  assert about['config']['latent_size'] == 100
  function = about['functions']['generator']
  assert function['inputs']['latent'] == {
    'shape': ['batch', 100],
    'dtype': 'float32',
    'meaning': "drawn from 'normal 100'",
  }
  assert function['output']['shape'] == ['batch', 28, 28, 1]
  names = {'generator.safetensors', 'generator.stablehlo'}
  about_it = {'export.json', 'config.json'}
  assert {p.name for p in folder.iterdir()} == names | about_it
  for name, digest in function['sha256'].items():
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
  artifact = (folder / 'generator.stablehlo').read_bytes()
  loaded = jax.export.deserialize(bytearray(artifact))
  assert loaded.platforms == ('cpu', 'cuda', 'tpu')
  # Where the code lies is nobody's business, and would change the bytes.
  assert str(ROOT).encode() not in artifact


def test_export_of_the_same_run_gives_the_same_bytes(digits):
  workdir, folder = digits
  before = {p.name: p.read_bytes() for p in folder.iterdir()}
  assert export.export(workdir) == folder
  assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_export_refuses_a_run_without_checkpoints(digits, tmp_path):
  with pytest.raises(errors.UserError, match='holds no run'):
    export.export(tmp_path)
  record = (digits[0] / 'config.json').read_text()
  (tmp_path / 'config.json').write_text(record)
  with pytest.raises(errors.UserError, match='Train there first'):
    export.export(tmp_path)


def test_export_refuses_a_classifier(digits, monkeypatch):
  run = restore_lib.restore(digits[0])
  run = dataclasses.replace(run, algorithm=steps.find('classifier'))
  monkeypatch.setattr(restore_lib, 'restore', lambda workdir, member: run)
  with pytest.raises(errors.UserError, match="'classifier' makes no images"):
    export.export(digits[0])


def conditional():
  method = gan.GAN(
    dcgan.Generator(SHAPE, (4, 4), strides=(2, 2), num_classes=3),
    mlp.Discriminator((4,), num_classes=3),
    latents=latents_lib.single('normal', 6),
    num_classes=3,
  )
  prepare = lambda key: gan.use_ema_weights(method, gan.init(method, key))
  state = jax.jit(prepare)(jax.random.key(0))
  z, label = jax.random.normal(jax.random.key(1), (5, 6)), jnp.arange(5) % 3
  expected = jax.jit(gan.decode, static_argnums=0)(method, state, z, label)
  return gan, method, state, (z, label), expected


def variational():
  method = vae.VAE(
    coders.ConvEncoder((4,), 6, pooled=False),
    coders.ConvDecoder(SHAPE, (4,)),
    shape=SHAPE,
    latent_size=3,
  )
  state = vae.init(method, jax.random.key(0))
  z = method.latents.sample(jax.random.key(1), 5)
  return vae, method, state, (z,), vae.decode(method, state, z)


def reconstructing():
  method = autoencoder.Autoencoder(
    coders.DenseEncoder(4, (8,)), coders.DenseDecoder(SHAPE, (8,)), SHAPE
  )
  state = autoencoder.init(method, jax.random.key(0))
  batch = {'image': IMAGES}
  shown = autoencoder.preview(method, state, batch, jax.random.key(0))
  expected = shown['reconstructions'][-1]
  return autoencoder, method, state, (IMAGES,), expected


def completing(generator, output):
  method = inpaint.Inpaint(
    generator=generator,
    discriminator=completers.Discriminator((4,), strides=(2,)),
    shape=SHAPE,
    mask=completion.Mask(3, channel=True),
    output=output,
  )
  state = inpaint.init(method, jax.random.key(0))
  _, expected, where = inpaint.fill(method, state, IMAGES, jax.random.key(2))
  return inpaint, method, state, (IMAGES, where.known), expected


def completing_images():
  return completing(completers.UNet(SHAPE, (4, 6)), 'image')


def completing_patches():
  generator = completers.ContextEncoder(
    SHAPE, 3, widths=(4,), bottleneck=4, decoder_widths=(4,)
  )
  return completing(generator, 'patch')


def translating():
  method = pix2pix.Pix2Pix(
    generator=translate.UNet(SHAPE, (4, 6)),
    discriminator=translate.PatchDiscriminator((4,)),
    shape=SHAPE,
    source_shape=SHAPE,
  )
  state = pix2pix.init(method, jax.random.key(0))
  batch = {'image': IMAGES, 'source': IMAGES}
  shown = pix2pix.preview(method, state, batch, jax.random.key(0))
  return pix2pix, method, state, (IMAGES,), shown['translations'][1]


def translating_unpaired():
  generator = translate.ResNet(SHAPE, (4, 4), blocks=1)
  discriminator = translate.PatchDiscriminator((4,))
  method = cyclegan.CycleGAN(
    generator_ab=generator,
    generator_ba=generator,
    discriminator_a=discriminator,
    discriminator_b=discriminator,
    shape_a=SHAPE,
    shape_b=SHAPE,
  )
  state = cyclegan.init(method, jax.random.key(0))
  batch = {'image': IMAGES, 'source': IMAGES}
  shown = cyclegan.preview(method, state, batch, jax.random.key(0))
  expected = [shown['a_b_a'][1], shown['b_a_b'][1]]
  return cyclegan, method, state, (IMAGES,), expected


SLOW = (variational, reconstructing, completing_images, completing_patches)
SLOW += (translating, translating_unpaired)


@pytest.mark.parametrize(
  'make',
  [conditional, *(pytest.param(m, marks=pytest.mark.slow) for m in SLOW)],
)
def test_exported_function_gives_the_images_of_the_algorithm(make, tmp_path):
  algorithm, method, state, inputs, expected = make()
  functions = steps.with_defaults(algorithm).export_functions(method, state)
  for name, (function, weights, examples) in functions.items():
    artifact = export.stablehlo(function, weights, examples)
    (tmp_path / name).write_bytes(artifact.serialize())
    assert set(examples) <= set(export.INPUTS)
  np.savez(tmp_path / 'in.npz', *inputs)
  run_alone(
    'import jax.export, numpy as np, pathlib\n'
    "inputs = [x for x in np.load('in.npz').values()]\n"
    f'for name in {list(functions)}:\n'
    '  data = bytearray(pathlib.Path(name).read_bytes())\n'
    '  images = jax.export.deserialize(data).call(*inputs)\n'
    "  np.save(name + '.npy', images)\n",
    tmp_path,
  )
  expected = [expected] if len(functions) == 1 else expected
  for name, images in zip(functions, expected, strict=True):
    found = np.load(tmp_path / f'{name}.npy')
    np.testing.assert_allclose(found, images, atol=1e-5)
