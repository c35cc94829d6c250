"""--mode=export: a trained network as files that need no code of this package.

Each function of `export_functions` (see `jaxgan.steps`) has two files:

  NAME.safetensors  weights and statistics, by the names of their leaves
  NAME.stablehlo    the function with its weights, for a batch of any size, on
                    CPUs, CUDA and TPUs; `jax.export.deserialize` reads it

The file `export.json` describes inputs and outputs and has a digest of each
of them. With `config.json`, the record of the run, `restore` reads an export.
The same checkpoint and the same versions give the same bytes. Images are
float32 in [-1, 1].
"""

import contextlib
import hashlib
import json
import pathlib
from importlib import metadata

import flax
import jax
import numpy as np
import safetensors.numpy

from jaxgan import errors
from jaxgan.core import paths, version
from jaxgan.modes import export_page, sample
from jaxgan.modes import restore as restore_lib
from jaxgan.training import compile as compile_lib
from jaxgan.training import workdir as workdir_lib
from jaxgan.training import writers
from jaxgan.training.trained import Run

SCHEMA = 1
PLATFORMS = ('cpu', 'cuda', 'tpu')
BATCH = 'batch'  # in a shape
# Meaning of the inputs; the run describes latents.
INPUTS = {
  'latent': '',
  'label': 'number of a class',
  'image': 'in [-1, 1]',
  'known': 'false where a pixel is missing',
}


@restore_lib.stores
def export(
  workdir,
  member: int | None = None,
  output: str | None = None,
  format: str = 'jax',
  runtime: str | None = None,
) -> pathlib.Path:
  """Writes the functions of the newest valid checkpoint of a workdir.

  Args:
    workdir: the folder of the run.
    member: member of a population.
    output: folder to write to; by default the workdir.
    format: 'jax'; 'onnx' for a model NAME.onnx besides; or 'html' for one page
      that shows a generator.
    runtime: archive of the page's runtime; see `export_page`.

  Returns:
    The folder, named after the format, the step and the member; or the page.

  Raises:
    UserError: if there is no run or checkpoint, the run makes no images, or the
      format cannot hold its network.
  """
  if runtime is not None and format != 'html':
    raise errors.UserError('--runtime is a part of a page. Set --format=html.')
  workdir, root = restore_lib.folders(workdir, output)
  run = restore_lib.restore(workdir, member=member)
  name = f'step_{int(run.state.step):08d}'
  if member is not None:
    name += f'_member_{member:02d}'
  if format == 'html':
    path = root / 'export' / f'page_{name}.html'
    text = _page(run, export_page.read_runtime(runtime))
    path.parent.mkdir(parents=True, exist_ok=True)
    writers.write_atomically(path, text)
    return path
  folder = root / 'export' / (f'onnx_{name}' if format == 'onnx' else name)
  files, functions = {}, {}
  for name, (function, weights, inputs) in _functions(run).items():
    flat = flax.traverse_util.flatten_dict(weights, sep='/')
    artifact = stablehlo(function, weights, inputs)
    contents = {
      f'{name}.safetensors': safetensors.numpy.save(flat),
      f'{name}.stablehlo': bytes(artifact.serialize()),
    }
    if format == 'onnx':
      contents[f'{name}.onnx'] = _onnx(run, function, weights, inputs)
    functions[name] = {
      'inputs': {
        key: _describe(aval, _meaning(run, key))
        for key, aval in zip(inputs, artifact.in_avals, strict=True)
      },
      'output': _describe(
        artifact.out_avals[0], INPUTS['image'] if run.spec.is_image else ''
      ),
      'sha256': {k: hashlib.sha256(v).hexdigest() for k, v in contents.items()},
    }
    files |= contents
  files['export.json'] = json.dumps(_about(run, functions), indent=2) + '\n'
  record = restore_lib.record_of(workdir) | {'config': run.config.to_dict()}
  files['config.json'] = json.dumps(record, indent=2) + '\n'
  with paths.replacing_folder(folder) as temporary:
    for name, content in files.items():
      writers.write_atomically(temporary / name, content)
  return folder


def _onnx(run: Run, function, weights, inputs) -> bytes:
  try:
    from jaxgan.modes import onnx_graph  # The extra `onnx` may be missing.
  except ModuleNotFoundError as error:
    if error.name != 'onnx':
      raise
    raise errors.UserError(
      "format=onnx needs the package onnx. Run pip install 'jaxgan[onnx]'."
    ) from None
  return onnx_graph.model(function, weights, inputs, _title(run))


def _title(run: Run) -> str:
  return f'{run.name}, step {int(run.state.step):,}'


def _page(run: Run, runtime) -> str:
  """Returns the page of a generator that takes latents."""
  functions = _functions(run)
  (function, weights, inputs), *others = functions.values()
  if others or 'latent' not in inputs or not run.spec.is_image:
    raise errors.UserError(
      f'format=html shows images that are made from latents, and '
      f'{run.name!r} has none. Set --format=onnx.'
    )
  latents = run.method.latents
  z = latents.sample(jax.random.key(0), export_page.LATENTS)
  name, rows = _sliders(run, z[:2])
  about = {
    'title': _title(run),
    'caption': f'{latents} latents. Click an image, then move the sliders.',
    'shape': run.spec.shape,
    'classes': run.classes if 'label' in inputs else (),
    'directions': [f'{name} {index}' for index in range(len(rows))],
  }
  return export_page.page(
    _onnx(run, function, weights, inputs), np.asarray(z), rows, about, runtime
  )


def _sliders(run: Run, z):
  """Returns a name and steps [D, Z]: directions, or single latents."""
  count = export_page.DIRECTIONS
  try:
    return 'direction', sample.directions_of(run, z)[:count]
  except errors.UserError:
    return 'latent', np.eye(z.shape[-1], dtype=np.float32)[:count]


def stablehlo(function, weights, inputs) -> jax.export.Exported:
  """Exports a function with its weights, for any batch size and platform.

  Args:
    function: (weights, *inputs) -> images.
    weights: a tree of arrays.
    inputs: examples [1, ...] by name; the names become names of arguments.
  """
  (batch,) = jax.export.symbolic_shape(BATCH)
  arguments = [
    jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype)
    for x in inputs.values()
  ]

  def call(*inputs):
    return function(weights, *inputs)

  # By default GPUs and TPUs multiply with fewer bits and give other images.
  with _without_paths(), jax.default_matmul_precision('highest'):
    return jax.export.export(jax.jit(call), platforms=PLATFORMS)(*arguments)


@contextlib.contextmanager
def _without_paths():
  """Leaves out the source files of operations."""
  name = 'jax_traceback_in_locations_limit'
  before = getattr(jax.config, name)
  jax.config.update(name, 0)
  try:
    yield
  finally:
    jax.config.update(name, before)


def _functions(run: Run):
  """Returns `export_functions` of the EMA weights, with weights in NumPy."""
  use_ema_weights = run.algorithm.use_ema_weights
  state = compile_lib.jit_method(use_ema_weights, run.method)(run.state)
  return {
    name: (function, jax.device_get(weights), inputs)
    for name, (function, weights, inputs) in run.algorithm.export_functions(
      run.method, state
    ).items()
  }


def _meaning(run: Run, key: str) -> str:
  if key == 'latent':
    return f'drawn from {str(run.method.latents)!r}'
  if key == 'label' and run.classes:
    most = len(run.classes) - 1
    return f'{INPUTS[key]}, 0 to {most}; others give images of no class'
  return INPUTS[key]


def _describe(aval, meaning: str):
  return {
    'shape': [n if isinstance(n, int) else str(n) for n in aval.shape],
    'dtype': np.dtype(aval.dtype).name,
    'meaning': meaning,
  }


def _about(run: Run, functions):
  return {
    'schema': SCHEMA,
    'method': run.name,
    'step': int(run.state.step),
    'weights': 'averaged',
    'functions': functions,
    'classes': list(run.classes),
    'platforms': list(PLATFORMS),
    'versions': {'jaxgan': version.__version__}
    | {name: metadata.version(name) for name in workdir_lib.PACKAGES},
    'config': run.config.to_dict(),
  }
