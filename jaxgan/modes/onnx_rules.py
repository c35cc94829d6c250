"""Operations of JAX as nodes of ONNX: a table of rules.

A rule is a function (graph, eqn, inputs) of an operation of a jaxpr. It adds
nodes to an `onnx_graph.Graph` and returns the outputs.
"""

import jax
import numpy as np
import onnx
from onnx import helper

from jaxgan import errors
from jaxgan.modes import onnx_products

# Operations on elements; sizes of one are repeated, as in NumPy.
ELEMENTS = {
  'abs': 'Abs',
  'add': 'Add',
  'and': 'And',
  'div': 'Div',
  'eq': 'Equal',
  'erf': 'Erf',
  'exp': 'Exp',
  'floor': 'Floor',
  'ge': 'GreaterOrEqual',
  'gt': 'Greater',
  'le': 'LessOrEqual',
  'log': 'Log',
  'logistic': 'Sigmoid',
  'lt': 'Less',
  'max': 'Max',
  'min': 'Min',
  'mul': 'Mul',
  'neg': 'Neg',
  'not': 'Not',
  'or': 'Or',
  'pow': 'Pow',
  'sign': 'Sign',
  'sqrt': 'Sqrt',
  'sub': 'Sub',
  'tanh': 'Tanh',
}
SAME = ('copy', 'optimization_barrier', 'reduce_precision', 'stop_gradient')
CALLS = {
  **dict.fromkeys(('jit', 'pjit', 'closed_call', 'remat2'), 'jaxpr'),
  **dict.fromkeys(('custom_jvp_call', 'custom_vjp_call'), 'call_jaxpr'),
}


def apply(graph, eqn, inputs) -> list:
  """Adds an operation; returns its outputs.

  Raises:
    UserError: for an operation without a rule.
  """
  name = eqn.primitive.name
  if name in CALLS:
    return graph.run(eqn.params[CALLS[name]], inputs)
  if name in BRANCHES:
    return BRANCHES[name](graph, eqn, inputs)
  if not any(isinstance(x, str) for x in inputs):
    return _computed(graph, eqn, inputs)
  if name in SAME:
    return inputs
  avals = [atom.aval for atom in eqn.invars]
  pairs = [(x, aval.shape) for x, aval in zip(inputs, avals, strict=True)]
  if name in ELEMENTS:
    inputs = (graph.repeated(*pair) for pair in pairs)
    return [graph.add(ELEMENTS[name], *inputs)]
  if name not in RULES:
    raise errors.UserError(
      f'format=onnx: the operation {name!r} of this network has no rule. Add '
      'it to onnx_rules.RULES.'
    )
  fill = graph.repeated if name in REPEATED else graph.whole
  inputs = [fill(*pair) for pair in pairs]
  outputs = RULES[name](graph, eqn, *inputs)
  return outputs if isinstance(outputs, list) else [outputs]


def _computed(graph, eqn, inputs):
  """Computes an operation on known inputs, for a batch of one."""
  params = {
    name: graph.of_one(value) if _is_shape(value) else value
    for name, value in eqn.params.items()
  }
  outputs = eqn.primitive.bind(*inputs, **params)
  return outputs if eqn.primitive.multiple_results else [outputs]


def _is_shape(value) -> bool:
  return isinstance(value, tuple) and any(
    jax.export.is_symbolic_dim(size) for size in value
  )


def _of_platform(graph, eqn, inputs):
  """The last form, for other platforms than those with a form of their own."""
  del graph, inputs
  return [np.int32(len(eqn.params['platforms']) - 1)]


def _branch(graph, eqn, inputs):
  index, *operands = inputs
  branches = eqn.params['branches']
  if isinstance(index, str):
    raise errors.UserError('format=onnx: branches by values have no rule.')
  return graph.run(
    branches[int(np.clip(index, 0, len(branches) - 1))], operands
  )


BRANCHES = {'platform_index': _of_platform, 'cond': _branch}


def _select(graph, eqn, which, *cases):
  del eqn
  no, yes = cases
  return graph.add('Where', which, yes, no)


def _cast(graph, eqn, x):
  kind = helper.np_dtype_to_tensor_dtype(np.dtype(eqn.params['new_dtype']))
  return graph.add('Cast', x, to=kind)


def _integer_pow(graph, eqn, x):
  exponent = eqn.params['y']
  if exponent == 2:
    return graph.add('Mul', x, x)
  return graph.add('Pow', x, np.array(exponent, eqn.invars[0].aval.dtype))


def _broadcast(graph, eqn, x):
  sizes = eqn.params['shape']
  before = dict(
    zip(
      eqn.params['broadcast_dimensions'], eqn.invars[0].aval.shape, strict=True
    )
  )
  if len(before) < len(sizes):
    x = graph.reshape(x, [before.get(axis, 1) for axis in range(len(sizes))])
  repeated = [
    1 if before.get(axis, 1) == size else size
    for axis, size in enumerate(sizes)
  ]
  if all(size == 1 for size in repeated):
    return x
  return graph.add('Expand', x, graph.shape(repeated))


def _reshape(graph, eqn, x):
  return graph.reshape(x, eqn.outvars[0].aval.shape)


def _transpose(graph, eqn, x):
  return graph.transpose(x, eqn.params['permutation'])


def _concatenate(graph, eqn, *inputs):
  return graph.add('Concat', *inputs, axis=eqn.params['dimension'])


def _stack(graph, eqn, *inputs):
  axis = eqn.params['axis']
  sizes = list(eqn.invars[0].aval.shape)
  sizes.insert(axis, 1)
  return graph.add(
    'Concat', *(graph.reshape(x, sizes) for x in inputs), axis=axis
  )


def cut(graph, x, starts, ends, steps, sizes):
  """Slices the axes that are not taken whole."""
  rows = [
    row
    for row in zip(range(len(sizes)), starts, ends, steps, strict=True)
    if row[1:] != (0, sizes[row[0]], 1)
  ]
  if not rows:
    return x
  axes, *limits = (np.array(row, np.int64) for row in zip(*rows, strict=True))
  return graph.add('Slice', x, *limits[:2], axes, limits[2])


def _slice(graph, eqn, x):
  sizes = eqn.invars[0].aval.shape
  steps = eqn.params['strides'] or (1,) * len(sizes)
  starts, ends = eqn.params['start_indices'], eqn.params['limit_indices']
  return cut(graph, x, starts, ends, steps, sizes)


def _split(graph, eqn, x):
  axis, sizes = eqn.params['axis'], eqn.invars[0].aval.shape
  ends = np.cumsum(eqn.params['sizes'])
  parts = []
  for size, end in zip(eqn.params['sizes'], ends, strict=True):
    starts, limits = [0] * len(sizes), list(sizes)
    starts[axis], limits[axis] = int(end) - size, int(end)
    parts.append(cut(graph, x, starts, limits, [1] * len(sizes), sizes))
  return parts


def _turn(graph, eqn, x):
  axes = np.array(eqn.params['dimensions'], np.int64)
  ends = np.full_like(axes, np.iinfo(np.int64).min)
  return graph.add(
    'Slice', x, np.full_like(axes, -1), ends, axes, np.full_like(axes, -1)
  )


def _pad(graph, eqn, x, value):
  low, high, interior = zip(*eqn.params['padding_config'], strict=True)
  if any(interior) or min(low + high) < 0:
    raise errors.UserError('format=onnx: this padding has no rule.')
  return graph.add('Pad', x, np.array(low + high, np.int64), value)


def _reduce(kind):
  def rule(graph, eqn, x):
    axes = np.array(eqn.params['axes'], np.int64)
    if kind != 'And':
      return graph.add(kind, x, axes, keepdims=0)
    x = graph.add('Cast', x, to=onnx.TensorProto.INT32)
    x = graph.add('ReduceMin', x, axes, keepdims=0)
    return graph.add('Cast', x, to=onnx.TensorProto.BOOL)

  return rule


def _least(kind):
  def rule(graph, eqn, x):
    (axis,) = eqn.params['axes']
    if eqn.invars[0].aval.dtype == bool:
      x = graph.add('Cast', x, to=onnx.TensorProto.INT32)
    index = graph.add(kind, x, axis=axis, keepdims=0)
    to = helper.np_dtype_to_tensor_dtype(np.dtype(eqn.params['index_dtype']))
    return graph.add('Cast', index, to=to)

  return rule


# Rules that repeat sizes of one themselves.
REPEATED = ('select_n', 'broadcast_in_dim')
RULES = {
  'argmax': _least('ArgMax'),
  'argmin': _least('ArgMin'),
  'broadcast_in_dim': _broadcast,
  'concatenate': _concatenate,
  'conv_general_dilated': onnx_products.conv,
  'convert_element_type': _cast,
  'dot_general': onnx_products.dot,
  'expand_dims': _reshape,
  'gather': onnx_products.gather,
  'integer_pow': _integer_pow,
  'pad': _pad,
  'reduce_and': _reduce('And'),
  'reduce_max': _reduce('ReduceMax'),
  'reduce_min': _reduce('ReduceMin'),
  'reduce_sum': _reduce('ReduceSum'),
  'reshape': _reshape,
  'rev': _turn,
  'scatter': onnx_products.scatter,
  'rsqrt': lambda graph, eqn, x: graph.add('Reciprocal', graph.add('Sqrt', x)),
  'select_n': _select,
  'slice': _slice,
  'split': _split,
  'square': lambda graph, eqn, x: graph.add('Mul', x, x),
  'squeeze': _reshape,
  'stack': _stack,
  'transpose': _transpose,
}
