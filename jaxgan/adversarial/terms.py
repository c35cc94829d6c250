"""Terms that are added to the losses of a game.

A `Term` has a name, a weight and a function. Penalties, classification losses
and feature matching are terms. A term may also have a state of its own, a
cadence, and a weight that depends on the images seen.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan.adversarial.penalties import strided
from jaxgan.core import axis, pixels, switches
from jaxgan.core.state import (
  Aux,
  BoundNetwork,
  Output,
  TrainState,
  images_seen,
  is_float,
)

TERM_STREAM = 2**30  # keys of terms; those of networks start at 0
ABSENT = Output(None)  # output for reals or fakes that an update leaves out
SQUARE = '_square'  # ending of the mean square of a metric


class Scene(NamedTuple):
  """Inputs of a term: one forward pass of a game.

  Attributes:
    method: the parts of the algorithm that never change.
    state: the state before the update.
    batch: the real images of the update, with labels if the data have labels.
    networks: all networks by name, as functions.
    discriminator: the discriminator of the forward pass.
    real: tuple of its inputs for reals, images first.
    fake: tuple of its inputs for fakes, images first.
    on_real: its output for `real`; `ABSENT` in an update on fakes alone.
    on_fake: its output for `fake`; `ABSENT` in an update on reals alone.
    keys: PRNG keys by purpose: 'penalty', 'further', 'real', 'fake'.
    z: latents of the fakes; None for methods without latents.
    generated: output of the generator in its own update, else None.
    made: fakes before augmentation in an update of the discriminator.
  """

  method: Any
  state: TrainState
  batch: dict[str, jax.Array]
  networks: dict[str, BoundNetwork]
  discriminator: BoundNetwork
  real: tuple
  fake: tuple
  on_real: Output
  on_fake: Output
  keys: dict[str, jax.Array]
  z: jax.Array | None = None
  generated: Output | None = None
  made: Any = None


@dataclasses.dataclass(frozen=True)
class Term:
  """A summand of a loss.

  Attributes:
    name: name of the metric, and of the term's state in 'extra'.
    function: scene -> scalar; with `init`, (scene, state) -> (scalar, state).
    weight: a number, or a function of the images seen, `batch_size` per round.
    kinds: outputs that must be present, 'real' or 'fake' or both. A term of the
      discriminator without kinds is in every update, so it counts twice where
      reals and fakes have an update each.
    init: key -> initial state of the term, a tree of arrays; None for no state.
      Float arrays of the next state are averaged over devices.
    every: rounds between two evaluations. The value is multiplied by `every`,
      so that the mean over rounds stays the same (Karras et al. 2020,
      https://arxiv.org/abs/1912.04958, section 3.1).
    apart: True for a gradient step of its own in these rounds, see `lazy`.
  """

  name: str
  function: Callable
  weight: float | Callable = 1.0
  kinds: tuple[str, ...] = ()
  init: Callable | None = None
  every: int = 1
  apart: bool = False

  def applies(self, scene: Scene) -> bool:
    """Returns True if the scene has the term's outputs, and is of its step."""
    outputs = {'real': scene.on_real, 'fake': scene.on_fake}
    is_due = scene.method.lazy == (self.every if self.apart else 0)
    return is_due and all(outputs[k] is not ABSENT for k in self.kinds)

  def __call__(self, scene: Scene):
    """Returns the weight, the value, and the term's next state."""
    state = scene.state.extra.get(self.name)

    def evaluate():
      if self.init is None:
        return self.every * self.function(scene), state
      value, new = self.function(scene, state)
      return self.every * value, new

    value, state = (
      evaluate()
      if self.every == 1 or self.apart
      else jax.lax.cond(
        scene.state.step % self.every == 0,
        evaluate,
        lambda: (
          jax.tree.map(jnp.zeros_like, jax.eval_shape(evaluate)[0]),
          state,
        ),
      )
    )
    weight = self.weight
    if callable(weight):
      weight = weight(images_seen(scene.state, len(scene.batch['image'])))
    return weight, value, state


def add_up(terms: Sequence[Term], loss, scene: Scene):
  """Adds weighted terms to a loss.

  Args:
    terms: terms of the network that learns.
    loss: a scalar.
    scene: the forward pass.

  Returns:
    The sum, values of the terms by name, and the parts of the state's 'extra'
    that changed.
  """
  metrics, extra = {}, {}
  loss = 0.0 if scene.method.lazy else loss
  for term in terms:
    if term.applies(scene):
      weight, value, state = term(scene)
      loss += weight * value
      metrics[term.name] = metrics.get(term.name, 0.0) + value
      if term.init is not None:
        extra[term.name] = jax.tree.map(_mean_of_floats, state)
  return loss, metrics, extra


def _mean_of_floats(x):
  return axis.mean_of_devices(x) if is_float(x) else x


def discriminator_total(method, name: str, loss, scene: Scene, extra=None):
  """Returns a discriminator's loss with its terms, and `Aux`.

  Args:
    method: has `loss` and `discriminator_terms`.
    name: name of the discriminator.
    loss: a scalar.
    scene: the forward pass.
    extra: parts of the state's 'extra' that changed before.

  Metrics are 'loss', mean D(x) of each kind, and the mean square of D(x), from
  which `discriminator.update` computes deviations over the global batch.
  """
  outputs = {'real': scene.on_real, 'fake': scene.on_fake}
  outputs = {k: v for k, v in outputs.items() if v is not ABSENT}
  metrics = {'loss': loss}
  for kind, output in outputs.items():
    shown = method.loss.output(output.logits)
    metrics[kind] = jnp.mean(shown)
    metrics[f'{kind}{SQUARE}'] = jnp.mean(per_example(shown) ** 2)
  total, values, changed = add_up(method.discriminator_terms, loss, scene)
  *_, last = outputs.values()
  extra = (extra or {}) | changed
  return total, Aux({name: last.stats}, {name: metrics | values}, extra)


def generator_total(method, name: str, loss, scene: Scene):
  """Returns a generator's weighted loss with its terms, and `Aux`.

  Args:
    method: has `adversarial` and `generator_terms`.
    name: name of the generator.
    loss: its adversarial loss, a scalar.
    scene: the forward pass.
  """
  total, values, extra = add_up(
    method.generator_terms, method.adversarial * loss, scene
  )
  metrics = {name: {'loss': loss} | values | variances(scene)}
  return total, Aux({name: scene.generated.stats}, metrics, extra)


def variances(scene: Scene) -> dict[str, jax.Array]:
  """Returns the variances of reals and samples; {} for batches of one."""
  fake = jax.tree.leaves(scene.generated.images)[-1]
  images = {'real_variance': scene.batch['image'], 'fake_variance': fake}
  return {
    name: pixels.pair_variance(jax.lax.stop_gradient(x))
    for name, x in images.items()
    if len(x) > 1
  }


def first_states(terms: Sequence[Term], key) -> dict[str, Any]:
  """Returns the initial states of terms, parts of a state's 'extra'."""
  return {
    term.name: term.init(jax.random.fold_in(key, TERM_STREAM + index))
    for index, term in enumerate(terms)
    if term.init is not None
  }


def per_example(values):
  """Returns means [B] over maps [B, h, w]; values [B] are unchanged."""
  return values.reshape(len(values), -1).mean(-1) if values.ndim > 1 else values


@dataclasses.dataclass(frozen=True)
class Penalty:
  """The mean of a row of `penalties.PENALTIES`, as the function of a term.

  Attributes:
    rule: a row of `penalties.PENALTIES`.
    stride: every how many examples one has a penalty.
  """

  rule: Callable
  stride: int = 1

  def __call__(self, scene: Scene):
    (real, *y), fake = strided((scene.real, scene.fake[0]), self.stride)

    def critic(x):
      output = scene.discriminator(x, *y, key=scene.keys['real'])
      return per_example(output.logits)

    return jnp.mean(self.rule(critic, real, fake, scene.keys['penalty']))


def classification(output: Output, labels):
  """Returns the mean cross-entropy of sown 'classes' [B, K] and labels [B]."""
  return jnp.mean(
    optax.softmax_cross_entropy_with_integer_labels(
      output.sown['classes'], labels
    )
  )


def real_classes(scene: Scene):
  """Returns the classification loss of reals.

  Odena et al. 2017, https://arxiv.org/abs/1610.09585, equation 3.
  """
  return classification(scene.on_real, scene.batch['label'])


def fake_classes(scene: Scene):
  """Returns the classification loss of fakes.

  Odena et al. 2017, https://arxiv.org/abs/1610.09585, equation 3.
  """
  return classification(scene.on_fake, scene.batch['label'])


def fake_as_class(scene: Scene):
  """Returns the cross-entropy of fakes with the additional class 'fake'."""
  label = jnp.full_like(scene.batch['label'], scene.method.num_classes)
  return classification(scene.on_fake, label)


def labelled_classes(scene: Scene):
  """Returns the classification loss of labelled reals.

  Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 5.
  """
  inputs = (scene.batch['labelled_image'], *scene.real[1:])
  output = scene.discriminator(*inputs, key=scene.keys['further'])
  return classification(output, scene.batch['labelled_label'])


def feature_matching(scene: Scene):
  """Returns the squared distance between mean features of reals and fakes.

  Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 3.1.
  """
  features = [o.sown['features'] for o in (scene.on_real, scene.on_fake)]
  real, fake = axis.mean([jnp.mean(x, axis=0) for x in features])
  return jnp.mean((real - fake) ** 2)


def of_weights(*rows) -> tuple[Term, ...]:
  """Returns a term for each (name, function, weight, kinds) with a weight.

  Rows may end with the function that makes the term's state.
  """
  return tuple(Term(*row) for row in rows if switches.is_on(row[2]))
