"""Functions of JAX as ONNX graphs.

A traced function consists of few kinds of operations, its jaxpr. Each kind has
a row in `onnx_rules.RULES`, which adds nodes to the graph. Where a layer has a
form for each platform, the plain form is taken.

Operations whose inputs are known, as those on weights, are computed at once. If
their shape has the batch, they are computed for a batch of one. So an image
gets the dropout mask that it has alone.
"""

import jax
import numpy as np
import onnx
from onnx import helper, numpy_helper

from jaxgan import errors
from jaxgan.modes import onnx_rules

OPSET, IR = 18, 9
OUTPUT = 'output'


class Graph:
  """Nodes of a graph in the making.

  A value is an array, which becomes a constant where a node needs it, or the
  name of an output. An array has the sizes of a batch of one.

  Attributes:
    batch: the symbolic size of the batch.
    nodes: nodes in order.
    constants: arrays and tensors by name.
    size: name of the size of the batch, int64 [1].
  """

  def __init__(self, batch, first: str):
    self.batch = batch
    self.nodes, self.constants = [], {}
    whole = self.add('Shape', first)
    ends = (np.array([n], np.int64) for n in (0, 1))
    self.size = self.add('Slice', whole, *ends)

  def name_of(self, value) -> str:
    """Returns the name of a value; an array becomes a constant."""
    if isinstance(value, str):
      return value
    if id(value) not in self.constants:
      name = f'c{len(self.constants)}'
      tensor = numpy_helper.from_array(np.array(value, order='C'), name)
      self.constants[id(value)] = value, tensor
    return self.constants[id(value)][1].name

  def add(self, kind: str, *inputs, **attributes) -> str:
    """Adds a node; returns the name of its output."""
    name = f'x{len(self.nodes)}'
    names = [self.name_of(x) for x in inputs]
    self.nodes.append(helper.make_node(kind, names, [name], **attributes))
    return name

  def times(self, size) -> int:
    """Returns a size, or -k for k times the batch."""
    if isinstance(size, int):
      return size
    times, rest = divmod(size, self.batch)
    if not isinstance(times, int) or not isinstance(rest, int) or rest:
      raise errors.UserError(
        f'format=onnx: a network with a size of {size} cannot be exported.'
      )
    return -times

  def of_one(self, sizes) -> tuple[int, ...]:
    """Returns a shape for a batch of one."""
    return tuple(abs(self.times(size)) for size in sizes)

  def shape(self, sizes):
    """Returns a shape as an input of nodes, int64 [rank]."""
    sizes = [self.times(size) for size in sizes]
    if min(sizes, default=0) >= 0:
      return np.array(sizes, np.int64)
    parts = [
      np.array([size], np.int64)
      if size >= 0
      else self.add('Mul', self.size, np.array([-size], np.int64))
      for size in sizes
    ]
    return self.add('Concat', *parts, axis=0)

  def whole(self, value, sizes):
    """Returns a value with all its sizes: arrays repeat over the batch."""
    if isinstance(value, str) or np.shape(value) == tuple(sizes):
      return value
    one = np.ones(1, np.int64)
    times = [one if isinstance(size, int) else self.size for size in sizes]
    return self.add('Tile', value, self.add('Concat', *times, axis=0))

  def repeated(self, value, sizes):
    """Returns `whole` of an array that operations on elements cannot repeat."""
    is_one = all(self.times(size) >= -1 for size in sizes)
    return value if is_one else self.whole(value, sizes)

  def reshape(self, x, sizes) -> str:
    signs = [self.times(size) for size in sizes]
    if sum(size < 0 for size in signs) > 1:
      return self.add('Reshape', x, self.shape(sizes))
    shape = np.array([max(size, -1) for size in signs], np.int64)
    return self.add('Reshape', x, shape)

  def transpose(self, x, axes):
    axes = [int(axis) for axis in axes]
    if not isinstance(x, str):
      return np.transpose(x, axes)
    if axes == list(range(len(axes))):
      return x
    return self.add('Transpose', x, perm=axes)

  def run(self, closed, inputs) -> list:
    """Adds the operations of a closed jaxpr; returns its outputs."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    values |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(atom):
      if hasattr(atom, 'val'):  # A literal.
        return np.asarray(atom.val, atom.aval.dtype)
      return values[atom]

    for eqn in jaxpr.eqns:
      outputs = onnx_rules.apply(self, eqn, [read(x) for x in eqn.invars])
      values |= dict(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def model(function, weights, inputs, doc: str) -> bytes:
  """Returns an ONNX model of a function, for a batch of any size.

  Args:
    function: (weights, *inputs) -> array [B, ...].
    weights: a tree of arrays, which become constants.
    inputs: examples [1, ...] by name; the names become names of inputs.
    doc: a description.

  Raises:
    UserError: if the function has an operation without a rule.
  """
  (batch,) = jax.export.symbolic_shape('batch')
  arguments = [
    jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype)
    for x in inputs.values()
  ]
  call = jax.jit(lambda *values: function(weights, *values))
  with jax.default_matmul_precision('highest'):
    closed = call.trace(*arguments).jaxpr
  graph = Graph(batch, next(iter(inputs)))
  (output,) = graph.run(closed, list(inputs))
  output = graph.whole(output, closed.out_avals[0].shape)
  graph.nodes.append(helper.make_node('Identity', [output], [OUTPUT]))
  avals = [*closed.in_avals, *closed.out_avals]
  described = [
    helper.make_tensor_value_info(
      name,
      helper.np_dtype_to_tensor_dtype(np.dtype(aval.dtype)),
      [n if isinstance(n, int) else str(n) for n in aval.shape],
    )
    for name, aval in zip([*inputs, OUTPUT], avals, strict=True)
  ]
  nodes, used = _needed(graph.nodes)
  tensors = [t for _, t in graph.constants.values() if t.name in used]
  proto = helper.make_graph(
    nodes, 'jaxgan', described[:-1], described[-1:], tensors
  )
  made = helper.make_model(
    proto,
    producer_name='jaxgan',
    doc_string=doc,
    opset_imports=[helper.make_opsetid('', OPSET)],
    ir_version=IR,
  )
  onnx.checker.check_model(made, full_check=True)
  return made.SerializeToString(deterministic=True)


def _needed(nodes):
  """Returns the nodes that the last one needs, and the names that they use."""
  used, kept = set(nodes[-1].output), []
  for node in reversed(nodes):
    if used & set(node.output):
      used |= set(node.input)
      kept.append(node)
  return kept[::-1], used
