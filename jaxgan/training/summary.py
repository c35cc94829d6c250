"""Tables of networks and data, for the start of a run."""

import flax.linen as nn
import jax

from jaxgan.data.dataset import Dataset

# Collections that are not weights: vectors of the power iteration, and the
# reference batch.
NOT_COUNTED = ('spectral', 'reference')


def _count(tree) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def parameter_counts(module: nn.Module, *inputs) -> tuple[int, int]:
  """Counts all numbers that a network holds, and its trained numbers."""
  variables = jax.eval_shape(
    lambda key: module.init(key, *inputs, train=False), jax.random.key(0)
  )
  held = {k: v for k, v in variables.items() if k not in NOT_COUNTED}
  return _count(held), _count(variables['params'])


def network(name: str, module: nn.Module, *inputs) -> str:
  """Returns a table of layers with output shapes and parameter counts."""
  calls = []  # (path, output shape, True if it called layers), in order

  def record(call, args, kwargs, context):
    before = len(calls)
    output = call(*args, **kwargs)
    if context.method_name == '__call__':
      calls.append((context.module.path, output.shape[1:], len(calls) > before))
    return output

  def run(key):
    with nn.intercept_methods(record):
      return module.init(key, *inputs, train=False)

  variables = jax.eval_shape(run, jax.random.key(0))
  held = [v for k, v in variables.items() if k not in NOT_COUNTED]

  rows = []
  for path, shape, has_inner in calls:
    if has_inner:
      continue
    below = held
    for part in path:
      below = [tree.get(part, {}) for tree in below]
    rows.append(('/'.join(path), _shape(shape), f'{_count(below):,}'))
  output = calls[-1][1]
  total, trained = parameter_counts(module, *inputs)
  rows.append(('output', _shape(output), ''))
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
