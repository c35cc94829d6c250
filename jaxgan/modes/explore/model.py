"""Pictures of a trained run from latents, codes or other pictures.

A `Model` is a checkpoint that is ready to use. All functions are pure: a
request contains the latents, and the same request gives the same pictures.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import errors
from jaxgan.core import interpolation
from jaxgan.core import latents as latents_lib
from jaxgan.core import state as state_lib
from jaxgan.modes import restore as restore_lib
from jaxgan.steps import _encoder_decoder
from jaxgan.training import compile as compile_lib
from jaxgan.training.trained import Run

LATENTS, CODES, PICTURES = 'latents', 'codes', 'pictures'
BATCH = 64  # images that are decoded together
CENTRE_DRAWS = 256  # latents whose mean is the centre of a plane


@dataclasses.dataclass(frozen=True)
class Model:
  """A checkpoint of a run, with averaged weights.

  Attributes:
    run: the run, whose state is a result of `use_ema_weights`.
    kind: 'latents' if images come from latents, 'codes' for an autoencoder, and
      'pictures' if images come from other images.
  """

  run: Run
  kind: str

  @property
  def state(self):
    return self.run.state

  @property
  def num_bytes(self) -> int:
    return sum(x.nbytes for x in jax.tree.leaves(self.state))

  @property
  def code_shape(self) -> tuple[int, ...]:
    """Shape of a code of an autoencoder."""
    method = self.run.method
    image = jnp.zeros((1, *method.shape))
    return state_lib.output_shapes(method.encoder, image).shape[1:]

  @property
  def size(self) -> int:
    """Dimensions of a latent vector or of a flat code; 0 for pictures."""
    if self.kind == LATENTS:
      return self.run.method.latents.size
    return int(np.prod(self.code_shape)) if self.kind == CODES else 0


def restore(workdir, step: int | None = None, member: int | None = None):
  """Returns the model of a checkpoint.

  Args:
    workdir: the folder of the run.
    step: step of the checkpoint; by default the newest valid checkpoint.
    member: member of a population.

  Raises:
    UserError: if there is no such checkpoint, or if the run makes no images.
  """
  run = restore_lib.restore(workdir, step, member)
  kind = kind_of(run)
  use_ema_weights = run.algorithm.use_ema_weights
  state = compile_lib.jit_method(use_ema_weights, run.method)(run.state)
  return Model(dataclasses.replace(run, state=state), kind)


def kind_of(run: Run) -> str:
  """Returns the kind of a run; raises a UserError if it makes no images."""
  if run.has_latents:
    return LATENTS
  if hasattr(run.method, 'encoder'):
    return CODES
  try:
    _input_shapes(run, run.state)
  except errors.UserError:
    raise errors.UserError(
      f'--mode=explore: method={run.name!r} makes no images, so there is '
      'nothing to show. Set --workdir to a run that does.'
    ) from None
  return PICTURES


def has_codes(model: Model) -> bool:
  """Returns True if images have latents or codes without a search."""
  method = model.run.method
  # Encoders of conditional models need a label too.
  return hasattr(method, 'encoder') and not getattr(method, 'num_classes', 0)


def decode(model: Model, z, label=None, psi=None) -> np.ndarray:
  """Returns images [N, ...] in [-1, 1] of latents or flat codes [N, Z].

  Images are decoded in batches of a few sizes, because each size compiles.

  Args:
    model: the model.
    z: latents or codes.
    label: classes [N] of a conditional run.
    psi: see `latents.truncate`; None is off.
  """
  function = compile_lib.jit_method(_decode, model.run.method, 0, 1)
  shape = model.code_shape if model.kind == CODES else ()
  psi = None if psi is None else np.float32(psi)
  images = []
  for start in range(0, len(z), BATCH):
    count = min(BATCH, len(z) - start)
    rows = np.arange(start, start + (1 << (count - 1).bit_length()))
    rows = np.minimum(rows, len(z) - 1)
    labels = None if label is None else np.asarray(label)[rows]
    made = function(
      model.run.algorithm, shape, model.state, z[rows], labels, psi
    )
    images.append(np.asarray(made)[:count])
  return np.concatenate(images)


def _decode(method, algorithm, code_shape, state, z, label, psi):
  if not algorithm.has_latents:
    code = z.reshape(len(z), *code_shape)
    return _encoder_decoder.decode(method, state, code)
  if psi is not None:
    method, z = latents_lib.truncate(method, z, psi)
  return algorithm.decode(method, state, z, label)


def truncated(model: Model, z, psi: float) -> np.ndarray:
  """Returns latents [N, Z] after `latents.truncate`."""
  return np.asarray(latents_lib.truncate(model.run.method, z, psi)[1])


def encode(model: Model, images) -> np.ndarray:
  """Returns latents or flat codes [N, Z] of images [N, H, W, C] in [-1, 1]."""
  function = compile_lib.jit_method(_encoder_decoder.encode, model.run.method)
  code = np.asarray(function(model.state, images))
  return code.reshape(len(code), -1)


def functions(model: Model) -> dict[str, dict[str, tuple[int, ...]]]:
  """Returns the networks that map pictures, with the shape of each input."""
  return {} if model.kind == LATENTS else _input_shapes(model.run, model.state)


def _input_shapes(run: Run, state) -> dict[str, dict[str, tuple[int, ...]]]:
  """Returns shapes of the inputs of exported functions, without the batch."""
  shapes = {}

  def record(state):
    made = run.algorithm.export_functions(run.method, state)
    for name, (_, _, inputs) in made.items():
      shapes[name] = {key: tuple(x.shape[1:]) for key, x in inputs.items()}

  jax.eval_shape(record, state)
  return shapes


def apply(model: Model, name: str, **inputs) -> np.ndarray:
  """Applies one of the `functions` to a batch of each input."""
  function = compile_lib.jit_method(_apply, model.run.method, 0, 1)
  return np.asarray(function(model.run.algorithm, name, model.state, inputs))


def _apply(method, algorithm, name, state, inputs):
  function, weights, _ = algorithm.export_functions(method, state)[name]
  return function(weights, *inputs.values())


def between(model: Model, a, b, num: int) -> np.ndarray:
  """Returns latents [num, Z] on the way from a to b [Z], ends included.

  Normal latents move on an arc, uniform ones and codes on a straight line.
  """
  t = jnp.linspace(0.0, 1.0, num)
  a, b = jnp.asarray(a)[None], jnp.asarray(b)[None]
  if model.kind == CODES:
    return np.asarray(interpolation.lerp(a, b, t))
  latents = model.run.method.latents
  starts, ends = latents.split(a), latents.split(b)
  pieces = [
    interpolation.WAYS[part.distribution][0](
      starts[part.name], ends[part.name], t
    )
    for part in latents.parts
  ]
  return np.concatenate(pieces, axis=-1)


def there_and_back(model: Model, points, num: int) -> np.ndarray:
  """Returns latents [num, Z] on the closed path through points [K, Z]."""
  if model.kind == LATENTS:
    path = latents_lib.closed_path(points, num, model.run.method.latents)
    return np.asarray(path)
  path = np.concatenate([points, points[:1]])
  at = np.linspace(0, len(points), num, endpoint=False)
  at, share = at.astype(int), np.float32(at % 1)[:, None]
  return path[at] * (1 - share) + path[at + 1] * share


def sample(model: Model, num: int, seed: int, pictures: Callable) -> np.ndarray:
  """Draws latents [num, Z], or returns codes of held-out pictures.

  Args:
    model: a model of latents or codes.
    num: number of latents.
    seed: seed of the draw.
    pictures: (num, seed) -> images [num, H, W, C] in [-1, 1]; only for codes.
  """
  if model.kind == CODES:
    return encode(model, pictures(num, seed))
  latents = model.run.method.latents
  return np.asarray(latents.sample(jax.random.key(seed), num))


def centre(model: Model, pictures: Callable) -> np.ndarray:
  """Returns the mean [Z] of latents or codes, or one latent of many parts."""
  z = sample(model, CENTRE_DRAWS, 0, pictures)
  if model.kind == LATENTS and len(model.run.method.latents.parts) > 1:
    return z[0]
  return z.mean(axis=0)
