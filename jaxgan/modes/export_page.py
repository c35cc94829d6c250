"""A generator as one HTML file, which runs in a browser without a network.

The file contains the model in ONNX with weights of 16 bits, the runtime
onnxruntime-web, and latents and directions to choose from. The runtime is not a
part of jaxgan: npm fetches the stated version, or --runtime is its archive.
"""

import base64
import gzip
import html
import json
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper

from jaxgan import errors
from jaxgan.core import paths

RUNTIME = 'onnxruntime-web@1.30.0'
PARTS = {
  'runtime': 'package/dist/ort.wasm.bundle.min.mjs',
  'wasm': 'package/dist/ort-wasm-simd-threaded.wasm',
}
MOST_BYTES = 2**26  # of a part of the runtime
TEMPLATE = pathlib.Path(__file__).parent / 'page' / 'page.html'
LATENTS, DIRECTIONS = 256, 8


def page(model: bytes, latents, directions, about: dict, runtime) -> str:
  """Returns a page that shows a generator.

  Args:
    model: ONNX, with inputs 'latent' [B, Z] and 'label' [B], if there are
      classes, and images [B, H, W, C] in [-1, 1].
    latents: samples [N, Z]; N is a multiple of 16.
    directions: steps [D, Z] of the sliders, which go from -3 to 3 of them.
    about: 'title', 'caption', 'shape' (H, W, C), 'classes' and names of
      'directions'.
    runtime: bytes of the runtime by the names of `PARTS`.
  """
  zipped = {'model': halved(model), **runtime}
  fields = {
    name: base64.b64encode(gzip.compress(content, mtime=0)).decode()
    for name, content in zipped.items()
  }
  for name, array in (('latents', latents), ('directions', directions)):
    data = np.ascontiguousarray(array, '<f4').tobytes()
    fields[name] = base64.b64encode(data).decode()
  about = about | {'size': int(latents.shape[-1])}
  fields['about'] = json.dumps(about).replace('<', '\\u003c')
  fields['title'] = html.escape(about['title'])
  text = TEMPLATE.read_text(encoding='utf-8')
  for name, value in fields.items():
    text = text.replace('{{' + name + '}}', value)
  return text


def halved(model: bytes) -> bytes:
  """Returns a model whose float32 constants are stored as float16."""
  proto = onnx.load_from_string(model)
  graph = proto.graph
  nodes, tensors = [], []
  for tensor in graph.initializer:
    array = numpy_helper.to_array(tensor)
    if array.dtype != np.float32:
      tensors.append(tensor)
      continue
    most = np.finfo(np.float16).max
    name = f'{tensor.name}_half'
    half = np.clip(array, -most, most).astype(np.float16)
    tensors.append(numpy_helper.from_array(half, name))
    nodes.append(
      helper.make_node('Cast', [name], [tensor.name], to=onnx.TensorProto.FLOAT)
    )
  nodes += graph.node
  del graph.initializer[:], graph.node[:]
  graph.initializer.extend(tensors)
  graph.node.extend(nodes)
  return proto.SerializeToString(deterministic=True)


def read_runtime(archive: str | None) -> dict[str, bytes]:
  """Returns the parts of the runtime.

  Args:
    archive: path of the package's archive (.tgz); None to have npm fetch it
      into the cache.

  Raises:
    UserError: if it cannot be fetched or is not the package.
  """
  path = _fetched() if archive is None else paths.of_user(archive, '--runtime')
  found = {}
  try:
    with tarfile.open(path, 'r:gz') as files:
      for name, part in PARTS.items():
        member = files.getmember(part)
        if not member.isfile() or member.size > MOST_BYTES:
          raise KeyError(part)
        found[name] = files.extractfile(member).read()
  except (OSError, EOFError, tarfile.TarError, KeyError) as error:
    raise errors.UserError(
      f'--runtime={path} is not the archive of {RUNTIME} ({error}). Get it by '
      f'`npm pack {RUNTIME}`.'
    ) from None
  return found


def _fetched() -> pathlib.Path:
  """Returns the archive in the cache; npm fetches it if it is missing."""
  path = paths.cache('runtime', RUNTIME.replace('@', '-') + '.tgz')
  if path.exists():
    return path
  way_out = (
    f'Run `npm pack {RUNTIME}` where there is a network, and set --runtime to '
    'the file.'
  )
  npm = shutil.which('npm')
  if npm is None:
    raise errors.UserError(
      f'format=html needs {RUNTIME}, and npm, which fetches it, was not found. '
      + way_out
    )
  with tempfile.TemporaryDirectory() as place:
    done = subprocess.run(
      [npm, 'pack', '--silent', RUNTIME],
      cwd=place,
      capture_output=True,
      text=True,
      timeout=300,
    )
    archives = sorted(pathlib.Path(place).glob('*.tgz'))
    if done.returncode or len(archives) != 1:
      reason = (done.stderr.strip().splitlines() or ['no reason given'])[-1]
      raise errors.UserError(
        f'format=html: npm did not fetch {RUNTIME} ({reason}). {way_out}'
      )
    path.parent.mkdir(parents=True, exist_ok=True)
    with paths.replacing(path) as temporary:
      shutil.copyfile(archives[0], temporary)
  return path
