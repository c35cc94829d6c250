"""Fields that every experiment has, what they may be, and what a resume allows.

A file in `configs/` starts from `defaults()`, adds what it takes of
`jaxgan.presets`, and changes what its experiment needs. Config files are Python
and are executed: run only those you trust.
"""

from collections.abc import Iterator
from typing import Any

import ml_collections

from jaxgan import errors

ENGINES = ('auto', 'jit', 'pmap')
PRECISIONS = ('f32', 'tf32', 'bf16')


def defaults() -> ml_collections.ConfigDict:
  """The fields of the loop, the data and the checkpoints."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.seeds = 1  # members of a population: seeds from `seed` on
  config.sweep = ''  # and values: 'penalties.r1=0,1; adversarial=1,2'
  config.sweep_as = 'grid'  # all combinations; or pairs: first values together
  config.members_at_once = 0  # under vmap; 0: all on accelerators, one on CPUs
  config.num_steps = 10_000  # rounds: all updates of both networks
  config.batch_size = 64  # over all devices

  config.data = ml_collections.ConfigDict()
  config.data.source = 'auto'  # auto, embedded, tfds, folder or toy
  config.data.name = 'mnist'  # of a TFDS set or a toy
  config.data.version = ''  # of a TFDS set; '' is the newest
  config.data.data_dir = ''  # prepared TFDS data; '' is TFDS' own default
  config.data.manual_dir = ''  # original files to prepare a TFDS set from
  config.data.download = False  # whether a TFDS set may be downloaded
  config.data.path = ''  # of a folder of images
  config.data.held_out = 0.0  # share of a folder that is not trained on
  config.data.classes = ()  # names of the classes to use; () is all
  config.data.limit = 0  # the first so many examples; 0 is all
  config.data.shuffle = True  # an order of its own for every epoch
  config.data.image_size = 0  # side of the square to resize to; 0 leaves as is
  config.data.resize = 'crop'  # to the square: crop the centre, or stretch
  config.data.channels = 0  # 1 or 3; 0 leaves as is
  config.data.max_pixels = 64_000_000  # larger files are refused
  config.data.on_bad = 'error'  # files that can't be read: error or skip
  config.data.resident_bytes = 2 * 1024**3  # larger sets are streamed

  config.log_every = 100
  config.sample_every = 1_000
  config.checkpoint_every = 1_000
  config.eval_every = 0  # scores on held-out images; 0 is off
  config.eval_images = 0  # samples that are scored then, see evaluate.py; or 0
  config.eval_scores = ()  # keys of scores.SCORES; () is all
  config.eval_features = 'classifier'  # or inception:PATH
  config.palette = 0  # colours of what --mode=sample draws; 0 is all
  config.keep = 3  # newest checkpoints that are kept
  config.keep_period = 0  # and every checkpoint at a multiple of this; 0: none
  config.init_from = ''  # workdir to take the first weights from

  config.engine = 'auto'  # pmap on several devices, jit on one
  config.precision = 'f32'  # f32, tf32 or bf16: see jaxgan/models/__init__.py
  # Rounds per compiled call (a scan). Of the DCGAN tutorial 8.3 a second so on
  # two cores, 7.2 one by one; 5 take 2 s where a round takes 0.4.
  config.steps_per_call = 5
  config.profile_steps = ()  # as 100,110: a trace of the rounds between
  config.dry_run = False  # compile a round, print what it costs, run nothing
  return config


def vary(config, variants, name: str) -> None:
  """Applies a config file's variant; '' is the default one.

  Raises:
    UserError: if there is no such variant.
  """
  if name not in variants:
    raise errors.unknown('variant', name, variants)
  variants[name](config)


def flatten(config) -> dict[str, Any]:
  """The fields of a config by dotted name; sequences become lists."""

  def walk(node, prefix) -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
      if isinstance(value, (dict, ml_collections.ConfigDict)):
        yield from walk(value, f'{prefix}{name}.')
      else:
        is_sequence = isinstance(value, (tuple, list))
        yield prefix + name, list(value) if is_sequence else value

  return dict(walk(config, ''))


def from_json(fields) -> ml_collections.ConfigDict:
  """A recorded config; lists become the tuples that they were."""

  def thaw(value):
    if isinstance(value, dict):
      return {k: thaw(v) for k, v in value.items()}
    if isinstance(value, list):
      return tuple(map(thaw, value))
    return value

  return ml_collections.ConfigDict(thaw(fields))
