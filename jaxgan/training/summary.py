"""Tables of networks and data, for the start of a run."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax

from jaxgan import errors
from jaxgan.data.dataset import Dataset

# Collections that are not weights: vectors of the power iteration, and the
# reference batch.
NOT_COUNTED = ('spectral', 'reference')


def _count(tree) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


class Layer(NamedTuple):
  """A call of a module in a network.

  Attributes:
    path: names of the modules, from the network on.
    module: the module.
    output: shape and type of the output, [1, ...].
    has_inner: True if the module called other modules.
  """

  path: tuple[str, ...]
  module: nn.Module
  output: jax.ShapeDtypeStruct
  has_inner: bool


class Traced(NamedTuple):
  """A network that was traced with examples of its inputs.

  Attributes:
    layers: all calls of modules, in order.
    variables: shapes of all collections.
  """

  layers: list[Layer]
  variables: Any


def trace(module: nn.Module, *inputs) -> Traced:
  """Traces a network without computing anything.

  Raises:
    UserError: if the network does not take the inputs.
  """
  layers = []

  def record(call, args, kwargs, context):
    before = len(layers)
    output = call(*args, **kwargs)
    if context.method_name == '__call__':
      largest = jax.tree.leaves(output)[-1]  # of several scales
      like = jax.ShapeDtypeStruct(largest.shape, largest.dtype)
      has_inner = len(layers) > before
      layers.append(Layer(context.module.path, context.module, like, has_inner))
    return output

  def run(key):
    with nn.intercept_methods(record):
      return module.init(key, *inputs, train=False)

  try:
    variables = jax.eval_shape(run, jax.random.key(0))
  except errors.UserError:
    raise
  except (TypeError, ValueError, ArithmeticError, IndexError) as error:
    file, kind = type(module).__module__.rpartition('.')[-1], type(module)
    shapes = ', '.join(str(x.shape) for x in jax.tree.leaves(inputs))
    raise errors.UserError(
      f'the network {file}.{kind.__name__} does not take inputs of shapes '
      f'{shapes}. Choose another network by its field `name`.'
    ) from error
  return Traced(layers, variables)


def _counts(variables) -> tuple[int, int]:
  held = {k: v for k, v in variables.items() if k not in NOT_COUNTED}
  return _count(held), _count(variables['params'])


def parameter_counts(module: nn.Module, *inputs) -> tuple[int, int]:
  """Counts all numbers that a network holds, and its trained numbers."""
  return _counts(trace(module, *inputs).variables)


def network(name: str, traced: Traced) -> str:
  """Returns a table of layers with output shapes and parameter counts."""
  held = [v for k, v in traced.variables.items() if k not in NOT_COUNTED]
  rows = []
  for layer in traced.layers:
    if layer.has_inner:
      continue
    below = held
    for part in layer.path:
      below = [tree.get(part, {}) for tree in below]
    shape = _shape(layer.output.shape[1:])
    rows.append(('/'.join(layer.path), shape, f'{_count(below):,}'))
  total, trained = _counts(traced.variables)
  rows.append(('output', _shape(traced.layers[-1].output.shape[1:]), ''))
  text = f'{total:,}' + (f' ({trained:,} trained)' if trained < total else '')
  rows.append(('total', '', text))
  return table((name, 'output', 'parameters'), rows)


def _shape(shape) -> str:
  return ' x '.join(map(str, shape)) or 'scalar'


def data(dataset: Dataset, where: str) -> str:
  """Returns a table of the training data.

  Args:
    dataset: the training images.
    where: text that says where the images are kept.
  """
  spec = dataset.spec
  kind = 'image' if spec.is_image else 'point'
  rows = [
    ('source', f'{dataset.source}: {dataset.name}, split {dataset.split}'),
    ('examples', f'{dataset.size:,}'),
    (kind, _shape(spec.shape)),
    ('classes', str(spec.num_classes or 'none')),
    ('kept', where),
  ]
  if dataset.detail:
    rows.append(('detail', dataset.detail))
  return table(('data', ''), rows)


def table(head, rows) -> str:
  """Returns aligned columns, the first to the left and numbers to the right."""
  rows = [head, *rows]
  widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
  lines = []
  for row in rows:
    cells = [row[0].ljust(widths[0])]
    for cell, width in zip(row[1:], widths[1:], strict=True):
      cells.append(cell.ljust(width) if len(head) == 2 else cell.rjust(width))
    lines.append('  '.join(cells).rstrip())
  lines.insert(1, '-' * max(map(len, lines)))
  return '\n'.join(lines)
