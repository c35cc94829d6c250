"""--mode=train: trains or resumes a run, with the scorer of --mode=evaluate.

python -m jaxgan.main --config=configs/gan_mnist.py --workdir=runs/gan_mnist
"""

import logging
import os
import sys

from jaxgan.modes import evaluate
from jaxgan.training import loop, processes


def train(config, workdir) -> None:
  """Trains a config in a workdir; see `jaxgan.training.loop.train`."""
  loop.train(config, workdir, evaluate.make_scorer)


def start(workdir, config) -> None:
  """Joins the other processes of the run, then trains; the first one prints."""
  processes.connect()
  if not processes.is_first():
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    logging.getLogger('jaxgan').setLevel(logging.WARNING)
  train(config, workdir)
