"""Gradient steps of their own for terms that few rounds evaluate.

Karras et al. 2020 (https://arxiv.org/abs/1912.04958), section 3.1 and appendix
B: a regularisation term has a step of its own in every k-th round, and its
value is multiplied by k. The optimizer then takes k + 1 steps in k rounds. So
its learning rate is multiplied by c = k / (k + 1), and its decays b1 and b2 are
raised to the power c; see `presets.lazy`.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxgan.adversarial.terms import Term
from jaxgan.core import state as state_lib
from jaxgan.core.state import TrainState


def share(terms: Sequence[Term]) -> float:
  """Returns the share of a network's updates that are not of terms apart."""
  cadences = {term.every for term in terms if term.apart}
  return 1.0 / (1.0 + sum(1.0 / every for every in cadences))


def steps(
  method,
  state: TrainState,
  name: str,
  terms: Sequence[Term],
  loss: Callable,
  *inputs,
) -> tuple[TrainState, dict[str, jax.Array]]:
  """Takes the steps that are due of all terms with `apart`.

  Terms of equal cadence share a step. Of the state, a step changes parameters,
  the optimizer's state and the states of its terms.

  Args:
    method: a `Game`.
    state: the state before.
    name: name of the network that learns.
    terms: terms of the network.
    loss: see `state.gradient_step`; its `add_up` sums the terms that are due.
    *inputs: further inputs of the loss.

  Returns:
    The next state, and the terms by name, zero in rounds without a step.
  """
  metrics = {}
  for every in sorted({term.every for term in terms if term.apart}):
    due = [term for term in terms if term.apart and term.every == every]
    only = dataclasses.replace(method, lazy=every)

    def take(state, only=only, due=due):
      new, values = state_lib.gradient_step(only, state, (name,), loss, *inputs)
      network = new.networks[name].replace(stats=state.networks[name].stats)
      extra = {t.name: new.extra[t.name] for t in due if t.init is not None}
      state = state.replace(
        networks=state.networks | {name: network}, extra=state.extra | extra
      )
      return state, {
        f'{name}/{t.name}': values[f'{name}/{t.name}'] for t in due
      }

    def skip(state, take=take):
      _, values = jax.eval_shape(take, state)
      return state, jax.tree.map(jnp.zeros_like, values)

    if every == 1:
      state, values = take(state)
    else:
      state, values = jax.lax.cond(state.step % every == 0, take, skip, state)
    metrics |= values
  return state, metrics
