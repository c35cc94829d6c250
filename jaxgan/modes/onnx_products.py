"""Products, convolutions and windows of JAX as nodes of ONNX.

Rules of `onnx_rules`: functions (graph, eqn, inputs) of an operation.
"""

import math
import string

import numpy as np
import onnx

from jaxgan import errors


def dot(graph, eqn, left, right):
  (left_sum, right_sum), (left_batch, right_batch) = eqn.params[
    'dimension_numbers'
  ]
  ranks = [len(atom.aval.shape) for atom in eqn.invars]
  sums = tuple(left_sum), tuple(right_sum)
  if not left_batch and ranks[1] == 2 and sums == ((ranks[0] - 1,), (0,)):
    return graph.add('MatMul', left, right)
  letters = iter(string.ascii_lowercase)
  names = [[''] * rank for rank in ranks]
  shared = zip(
    [*left_batch, *left_sum], [*right_batch, *right_sum], strict=True
  )
  for one, other in shared:
    names[0][one] = names[1][other] = next(letters)
  names = [[name or next(letters) for name in side] for side in names]
  known = {*left_batch, *left_sum}, {*right_batch, *right_sum}
  result = [names[0][axis] for axis in left_batch]
  for side, taken in zip(names, known, strict=True):
    result += [name for axis, name in enumerate(side) if axis not in taken]
  left_names, right_names, result = map(''.join, (*names, result))
  return graph.add(
    'Einsum', left, right, equation=f'{left_names},{right_names}->{result}'
  )


def conv(graph, eqn, x, w):
  """A convolution, or the transpose of one where `x` is dilated."""
  params, groups = eqn.params, eqn.params['feature_group_count']
  if params['batch_group_count'] != 1:
    raise errors.UserError('format=onnx: groups of examples have no rule.')
  numbers = params['dimension_numbers']
  x = graph.transpose(x, numbers.lhs_spec)
  w = graph.transpose(w, numbers.rhs_spec)
  low, high = np.transpose(params['padding']).tolist()
  dilation, steps = params['lhs_dilation'], params['window_strides']
  if set(dilation) == {1}:
    y = graph.add(
      *('Conv', x, w),
      strides=steps,
      pads=low + high,
      dilations=params['rhs_dilation'],
      group=groups,
    )
  else:
    if set(steps) != {1} or groups != 1 or isinstance(w, str):
      raise errors.UserError('format=onnx: this convolution has no rule.')
    spans = [
      (size - 1) * step
      for size, step in zip(w.shape[2:], params['rhs_dilation'], strict=True)
    ]
    pads = np.array([spans, spans]) - np.array([low, high])
    y = graph.add(
      *('ConvTranspose', x, np.flip(np.swapaxes(w, 0, 1), (2, 3))),
      strides=dilation,
      pads=np.maximum(pads, 0).ravel().tolist(),
      output_padding=np.maximum(-pads[1], 0).tolist(),
      dilations=params['rhs_dilation'],
    )
    if pads[0].min() < 0:
      raise errors.UserError('format=onnx: this padding has no rule.')
  return graph.transpose(y, np.argsort(numbers.out_spec))


def gather(graph, eqn, x, indices):
  """Selects elements of each example at known places."""
  sizes, result = eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape
  axes = [axis for axis, size in enumerate(result) if not isinstance(size, int)]
  if isinstance(indices, str) or isinstance(sizes[0], int) or len(axes) != 1:
    raise errors.UserError('format=onnx: this gather has no rule.')
  alone = graph.of_one(sizes)
  numbers = np.arange(math.prod(alone), dtype=np.int32).reshape(alone)
  params = eqn.params | {'slice_sizes': graph.of_one(eqn.params['slice_sizes'])}
  places = eqn.primitive.bind(numbers, np.asarray(indices), **params)
  places = np.asarray(places, np.int64)
  flat = graph.reshape(x, (sizes[0], math.prod(alone)))
  found = graph.add('Gather', flat, places.ravel(), axis=1)
  (axis,) = axes
  rest = result[:axis] + result[axis + 1 :]
  found = graph.reshape(found, (sizes[0], *rest))
  order = [*range(1, axis + 1), 0, *range(axis + 1, len(result))]
  return graph.transpose(found, order)


def scatter(graph, eqn, x, start, updates):
  """Writes a window [B, ...] into each example, as dynamic_update_slice."""
  numbers = eqn.params['dimension_numbers']
  sizes = eqn.invars[0].aval.shape
  window = eqn.invars[2].aval.shape[1:]
  axes = tuple(range(1, len(sizes)))
  if (
    tuple(numbers.operand_batching_dims) != (0,)
    or tuple(numbers.scatter_dims_to_operand_dims) != axes
    or tuple(numbers.update_window_dims) != axes
  ):
    raise errors.UserError('format=onnx: this scatter has no rule.')
  start = graph.add('Cast', start, to=onnx.TensorProto.INT64)
  most = np.subtract(sizes[1:], window).astype(np.int64)
  start = graph.add('Max', start, np.zeros_like(most))
  start = graph.add('Min', start, most)
  ones = (1,) * len(window)
  start = graph.reshape(start, (sizes[0], *ones, len(window)))
  grid = np.stack(np.indices(window, np.int64), axis=-1)
  places = graph.add('Add', start, grid)  # [B, *window, rank - 1]
  last = graph.add('Squeeze', graph.size)
  rows = graph.add('Range', np.int64(0), last, np.int64(1))
  rows = graph.reshape(rows, (sizes[0], *ones, 1))
  rows = graph.add('Expand', rows, graph.shape((1, *window, 1)))
  indices = graph.add('Concat', rows, places, axis=-1)
  return graph.add('ScatterND', x, indices, updates)
