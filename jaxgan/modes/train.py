"""Trains a run, or resumes it."""

from jaxgan.modes import evaluate
from jaxgan.training import loop


def train(config, workdir) -> None:
  """Trains a config in a workdir; see `jaxgan.training.loop.train`."""
  loop.train(config, workdir, evaluate.make_scorer)
