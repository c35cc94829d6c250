"""Weights of other codebases: their images, their runs, and bad files.

`tests/golden/make_weights.py` made the files and the arrays with the code that
published files come from, and `tests/golden/opcodes.py` wrote the copies here.
"""

import dataclasses
import logging
import pathlib
import re

import jax
import numpy as np
import pytest
from runs import call_main

from jaxgan import errors
from jaxgan.core import state as state_lib
from jaxgan.metrics import pth
from jaxgan.models import mlp
from jaxgan.modes import import_weights, restore, sample
from jaxgan.steps import gan
from jaxgan.training import first_weights
from tests.golden import opcodes
from tests.golden.make_residual import thin
from tests.golden.make_weights import inputs_of

SLOW = pytest.mark.slow
DATA = {'source': 'embedded', 'name': 'mnist', 'limit': '200'}


def files(case):
  folder = opcodes.FOLDER / case
  return [str(p) for p in sorted(folder.iterdir()) if p.suffix != '.npz']


def networks_of(case):
  found = [n for path in files(case) for n in import_weights.read(path)]
  return {(n.player, n.is_averaged): n for n in found}


EXPECTED = {
  'biggan_ajbrock_32': (
    dict(widths=(4,) * 4, attention=(), embedding=0, hierarchical=False),
    dict(widths=(4,) * 4, strides=(2, 2, 1, 1), rectified=False),
  ),
  'biggan_32': (
    dict(widths=(8,) * 4, attention=(2,), embedding=5, hierarchical=True),
    dict(widths=(2,) * 4, strides=(2, 2, 1, 1), rectified=True),
  ),
  'cgan_pd_32': (
    dict(widths=(4,) * 4, upsampling='bilinear', spectral_norm=False),
    dict(widths=(4,) * 4, strides=(2, 2, 1, 1), spectral_norm=True),
  ),
  'r3gan_16': (
    dict(
      widths=(8, 4, 4),
      blocks=(1, 2, 1),
      cardinality=(4, 2, 1),
      expansion=2,
      embedding=3,
      resampling=(1.0, 2.0, 1.0),
    ),
    dict(widths=(4, 4, 8), blocks=(1, 1, 2), embedding=5),
  ),
  'stylegan2_8': (
    dict(widths=(4, 4), style_size=4, mapping_layers=2, clamp=1.2),
    dict(widths=(4, 4), group=2, architecture='residual', clamp=1.2),
  ),
}
LATENTS = {'biggan_32': 8}


@pytest.mark.parametrize('case', EXPECTED)
def test_sizes_follow_from_the_file(case):
  found = networks_of(case)
  generator = found['generator', False]
  side = int(case.rpartition('_')[2])
  assert generator.shape == (side, side, 3)
  assert generator.latents == LATENTS.get(case, 6)
  for network, expected in zip(
    (generator, found['discriminator', False]), EXPECTED[case], strict=True
  ):
    assert network.classes == 10
    assert expected == {name: network.fields[name] for name in expected}


@pytest.fixture(scope='module', params=EXPECTED)
def imported(request, tmp_path_factory):
  """A case, and the workdir of its import with data."""
  folder = tmp_path_factory.mktemp('import') / request.param
  import_weights.import_weights(folder, files(request.param), DATA)
  return request.param, folder


@SLOW
def test_images_and_logits_equal_those_of_the_codebase(imported):
  case, folder = imported
  run = restore.restore(folder)
  reference = np.load(opcodes.FOLDER / case / 'reference.npz')
  z = inputs_of('generator', (run.method.latents.size,))
  x = inputs_of('discriminator', run.spec.shape)
  label = reference['labels']

  @jax.jit
  def both(state):
    used = run.algorithm.use_ema_weights(run.method, state)
    image = run.algorithm.decode(run.method, used, z, label)
    network = state_lib.bind(run.method, state)['discriminator']
    return image, network(x, label, train=False).logits

  with jax.default_matmul_precision('highest'):
    found = both(run.state)
  for name, ours in zip(('generator', 'discriminator'), found, strict=True):
    ours, expected = thin(np.asarray(ours)), reference[name]
    error = np.abs(ours - expected).max() / np.abs(expected).max()
    assert error <= 1e-5, (name, error)


def test_running_statistics_are_those_of_samples():
  network = mlp.Generator(shape=(4, 4, 1), widths=(3,))
  method = gan.GAN(network, mlp.Discriminator(widths=(3,)))
  state = gan.init(method, jax.random.key(0))
  stats = state.networks['generator'].stats
  for keeps in (True, False):
    method = dataclasses.replace(method, running_statistics=keeps)
    used = gan.use_ema_weights(method, state).networks['generator'].stats
    same = jax.tree.map(np.array_equal, used, stats)
    assert all(jax.tree.leaves(same)) == keeps


@SLOW
def test_imported_run_samples_exports_and_resumes(imported, tmp_path):
  _, folder = imported
  process = call_main('--mode=sample', f'--workdir={folder}', '--num=4')
  assert not process.returncode, process.stderr
  process = call_main('--mode=export', f'--workdir={folder}')
  assert not process.returncode, process.stderr
  exported = process.stdout.strip().splitlines()[-1]
  np.testing.assert_array_equal(
    *(sample.pixels(restore.restore(f), 3, 1) for f in (folder, exported))
  )
  process = call_main(
    f'--config={folder / "config.py"}',
    f'--workdir={folder}',
    '--config.num_steps=1',
    '--config.sample_every=0',
  )
  assert not process.returncode, process.stderr
  assert 'resumed from the checkpoint of step 0' in process.stdout
  assert restore.restore(folder).state.step == 1


@SLOW
def test_init_from_names_the_layers_that_stay_fresh(tmp_path, caplog):
  """The run has labels of two more classes than the weights."""
  case, folder = 'biggan_32', tmp_path / 'run'
  import_weights.import_weights(folder, files(case))
  run = restore.restore(folder)
  spec = run.spec.__class__(run.spec.shape, 12)
  method = run.algorithm.from_config(run.config, spec)
  state = run.algorithm.init(method, jax.random.key(1))
  with caplog.at_level(logging.WARNING):
    found = first_weights.adopt(folder, state)
  assert '2 layers differ and are fresh: discriminator/Dense_1' in caplog.text
  assert 'generator/labels' in caplog.text
  ours, theirs, first = (s.ema['generator'] for s in (found, run.state, state))
  ours, theirs, first = (t['module'] for t in (ours, theirs, first))
  name = 'GeneratorBlock_0'
  jax.tree.map(np.testing.assert_array_equal, ours[name], theirs[name])
  np.testing.assert_array_equal(
    ours['labels']['table'], first['labels']['table']
  )


@SLOW
def test_a_missing_discriminator_is_fresh(tmp_path, caplog):
  path = [f for f in files('cgan_pd_32') if 'netG' in f]
  with caplog.at_level(logging.INFO):
    found = import_weights.import_weights(tmp_path / 'run', path)
  assert found['discriminator'] == 'fresh'
  assert 'discriminator: fresh' in caplog.text
  process = call_main('--mode=evaluate', f'--workdir={tmp_path / "run"}')
  assert process.returncode == 2
  assert 'imported without data' in process.stderr


# Files that are refused: a name, and the contents of a pickle or an archive.


def tensors():
  return pth.load(files('cgan_pd_32')[1])


def changed(name, array):
  state = tensors()
  state['model_state_dict'][name] = array
  return state


def refused(path, *fields):
  """Returns the error of an import, which makes no workdir."""
  workdir = path.parent / 'run'
  with pytest.raises(errors.UserError) as caught:
    import_weights.import_weights(workdir, [str(path), *fields])
  assert not workdir.exists()
  message = str(caught.value)
  assert '\n' not in message
  return message


EVIL = {
  'os.system': b'cos\nsystem\n(' + opcodes.text('touch executed') + b'tR.',
  'builtins.eval': b'cbuiltins\neval\n(' + opcodes.text('1') + b'tR.',
  'torch.load': b'ctorch\nload\n(' + opcodes.text('x') + b'tR.',
  'INST': b'(' + opcodes.text('touch executed') + b'ios\nsystem\n.',
  'OBJ': b'(cbuiltins\nset\no.',
  'EXT1': b'\x82\x01.',
  'PERSID': b'Pkey\n.',
  'DUP': b'N2.',
  'unknown': b'\xff.',
  'a mark is missing': b'e.',
  'a dict is missing': b'](NNu.',
  'a key is a tuple': b'}))s.',
  'a storage is not allowed here': b')Q.',
  'an object is no module': b'}'
  + opcodes.text('G')
  + (b'ctorch.nn.modules.conv\nConv2d\n)\x81s.'),
}


@pytest.mark.parametrize('name', EVIL)
def test_programs_in_a_pickle_are_refused(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  path = tmp_path / 'weights.pkl'
  path.write_bytes(opcodes.PROTOCOL + EVIL[name])
  message = refused(path)
  assert name in message
  assert str(path) in message
  assert not (tmp_path / 'executed').exists()


def test_source_code_in_a_pickle_is_not_run(tmp_path, monkeypatch):
  """Modules of NVIDIA's codebases bring their source along."""
  monkeypatch.chdir(tmp_path)
  meta = dict(type='class', version=6, class_name='Evil', state={})
  meta |= dict(module_src='open("executed", "w")')
  pickled = opcodes.named(pth.PERSISTENT) + b'('
  pickled += opcodes.Writer().opcodes(meta) + b'tR.'
  path = tmp_path / 'weights.pkl'
  path.write_bytes(opcodes.PROTOCOL + pickled)
  assert pth.load(path).name == 'Evil'
  assert 'no network of' in refused(path)
  assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize(
  ('value', 'message'),
  [
    (
      {'x': np.zeros(3, np.float32)},
      r'no network of BigGAN-PyTorch.*\(it has x',
    ),
    ({'epoch': 3}, r'\(it has no tensors\)'),
    (3, r'\(it has no tensors\)'),
    (lambda: changed('l9.weight', np.zeros(1, np.float32)), 'l9 is unknown'),
    (
      lambda: changed('block3.c2.weight', np.zeros((4, 5, 3, 3), np.float32)),
      r'Block_1/Conv_1/kernel has shape \(3, 3, 5, 4\) instead of',
    ),
    (lambda: changed('l1.weight', np.zeros(3, np.float32)), 'no generator of'),
  ],
)
def test_other_networks_and_sizes_are_refused(value, message, tmp_path):
  value = value() if callable(value) else value
  path = tmp_path / 'weights.pth'
  opcodes.archive(path, value)
  assert re.search(message, refused(path))


def test_truncated_files_are_refused(tmp_path):
  path = tmp_path / 'weights.pkl'
  content = pathlib.Path(*files('r3gan_16')).read_bytes()
  for length in (0, 1, 2, 100, len(content) // 2, len(content) - 1):
    path.write_bytes(content[:length])
    assert f'{path}: no weights of PyTorch' in refused(path)


def test_damaged_bytes_are_one_line_or_another_number(tmp_path):
  content = pathlib.Path(*files('r3gan_16')).read_bytes()
  path, rng, lines = tmp_path / 'weights.pkl', np.random.default_rng(0), []
  for _ in range(40):
    damaged = bytearray(content)
    for place in rng.integers(len(content), size=3):
      damaged[place] = rng.integers(256)
    path.write_bytes(damaged)
    try:
      import_weights.read(path)
    except errors.UserError as error:
      lines.append(str(error))
  assert len(lines) > 10
  assert '\n' not in ''.join(lines)


def test_sizes_on_paper_take_no_memory(tmp_path):
  """A stride of 0 makes a huge tensor of one number."""
  state = {'blocks.0.0.conv1.weight': np.ones(1, np.float32)}
  writer = opcodes.Writer(lambda w, x: opcodes.persistent('0', x))
  small = writer.opcodes((1,))
  pickled = opcodes.PROTOCOL + writer.opcodes(state) + b'.'
  path = tmp_path / 'weights.pth'
  for shape, strides, message in (
    ((60_000, 60_000, 3, 3), (0,) * 4, 'tensors have 129600000000 bytes'),
    ((60_000, 60_000, 3, 3), (1,) * 4, 'larger than its storage'),
  ):
    writer = opcodes.Writer()
    body = writer.opcodes(shape) + writer.opcodes(strides)
    huge = pickled.replace(small * 2, body)
    assert huge != pickled
    opcodes.zipped(path, huge, [np.ones(1, np.float32)])
    assert message in refused(path)


def test_files_must_fit_each_other(tmp_path):
  biggan, mimicry = files('biggan_ajbrock_32'), files('cgan_pd_32')
  with pytest.raises(errors.UserError, match='has no generator'):
    import_weights.import_weights(tmp_path / 'run', [biggan[0]])
  with pytest.raises(errors.UserError, match='does not belong'):
    import_weights.import_weights(tmp_path / 'run', [biggan[1], mimicry[0]])
  with pytest.raises(errors.UserError, match="two files with a network 'gen"):
    import_weights.import_weights(tmp_path / 'run', [biggan[1], mimicry[1]])
  with pytest.raises(errors.UserError, match='weights is missing'):
    import_weights.import_weights(tmp_path / 'run')
  with pytest.raises(errors.UserError, match='has files'):
    import_weights.import_weights(opcodes.FOLDER, biggan)
  data = {'source': 'toy', 'name': 'random'}
  with pytest.raises(errors.UserError, match='has 10 classes, and data'):
    import_weights.import_weights(tmp_path / 'run', biggan, data)
