"""The table of modes: for each value of --mode, a function and its flags.

A mode is a file in this package and a row of `MODES`. Nothing is imported here:
`jaxgan.main` defines the flags and calls the function of the chosen mode with
the workdir and the given flags as keyword arguments. A flag that is not given
is not passed, so the function holds all defaults.
"""

from typing import NamedTuple


class Flag(NamedTuple):
  """A flag of the command line.

  Attributes:
    name: name of the flag and of the keyword argument. Flags of several modes
      may share a name if they have the same kind.
    kind: 'string', 'integer', 'float', 'boolean' or 'list'.
    help: one sentence, with the default in parentheses.
    values: accepted values; () for all.
  """

  name: str
  kind: str
  help: str
  values: tuple[str, ...] = ()


class Mode(NamedTuple):
  """One value of --mode.

  Attributes:
    function: 'module:function', called with the workdir and the flags. The
      returned path or dictionary is printed.
    flags: the flags that the mode reads.
    trains: True if the mode reads --config, and False if it reads the config
      of a workdir.
    prints: False if the function prints its results.
    reads_data: True if the mode also reads --config.data.FIELD, for data that
      were moved.
    workdir: value of --workdir if none is given; '' if one is needed.
    alone: flags with which the mode needs no workdir.
  """

  function: str
  flags: tuple[Flag, ...] = ()
  trains: bool = False
  prints: bool = True
  reads_data: bool = False
  workdir: str = ''
  alone: tuple[str, ...] = ()


_SEED = Flag('seed', 'integer', 'Seed of all random draws (0).')
_MEMBER = Flag(
  'member',
  'integer',
  'Member of a population. Required for a population, except by evaluate, '
  'which scores all members.',
)
_TRUNCATION = Flag(
  'truncation',
  'float',
  'Largest size of normal latents (no limit), or psi of StyleGAN2 (1).',
)
_OUTPUT = Flag('output', 'string', 'Folder to write to (the workdir).')
_SEARCH = (
  Flag('num', 'integer', 'Number of images (64).'),
  _SEED,
  Flag(
    'labels',
    'string',
    'Class of all images, or one for each image, by name or number, as 3,3,7 '
    '(chosen by the loss).',
  ),
  Flag('images', 'string', 'Folder of images (held-out images of the run).'),
  Flag('restarts', 'integer', 'First latents tried for every image (4).'),
  Flag('iterations', 'integer', 'Updates of the latents (300).'),
  _MEMBER,
  _OUTPUT,
)

MODES = {
  'train': Mode('jaxgan.modes.train:start', trains=True, prints=False),
  'sample': Mode(
    'jaxgan.modes.sample:sample',
    (
      Flag(
        'num',
        'integer',
        'Number of images (100), rows of --walk, --direction or --mixing (10), '
        'or latents on a path of an animation (8).',
      ),
      _SEED,
      Flag(
        'format',
        'string',
        'One PNG (the default), a PNG for each image, or an animation through '
        'latents.',
        ('grid', 'images', 'gif', 'mp4'),
      ),
      Flag(
        'labels',
        'string',
        'Classes of a conditional run by name or number, as 3,3,7: one image, '
        'row or path for each. With all: every class, in columns.',
      ),
      Flag(
        'walk',
        'integer',
        'Latent dimension that changes along the rows of a grid.',
      ),
      Flag(
        'direction',
        'integer',
        'Direction that latents, or styles of StyleGAN2, move in along the '
        'rows of a grid; 0 changes images most (SeFa).',
      ),
      Flag(
        'mixing',
        'integer',
        'Layer from which images of a grid have the styles of their column '
        'instead of their row (StyleGAN2).',
      ),
      Flag('paths', 'integer', 'Paths that an animation shows (1).'),
      Flag('frames_per_second', 'float', 'Frame rate of an animation (20).'),
      Flag('seconds', 'float', 'Length of an animation (one second a latent).'),
      _TRUNCATION,
      Flag(
        'palette',
        'integer',
        'Number of colours, taken from training images; 0 for all '
        '(config.palette).',
      ),
      _MEMBER,
      _OUTPUT,
    ),
    reads_data=True,
    workdir='digits',
  ),
  'evaluate': Mode(
    'jaxgan.modes.evaluate:evaluate',
    (
      Flag('num', 'integer', 'Number of fakes and of real images (10000).'),
      _SEED,
      Flag(
        'steps',
        'string',
        'Checkpoints to score: newest, all, or steps as 1000,2000 (newest).',
      ),
      Flag(
        'follow', 'boolean', 'Scores every new checkpoint until the run ends.'
      ),
      Flag('scores', 'list', 'Names of scores.SCORES (all).'),
      Flag(
        'features',
        'string',
        'Features of images: classifier, random, random:SEED, '
        'inception:PATH or dinov2:PATH (classifier; random for --images).',
      ),
      _TRUNCATION,
      Flag('images', 'string', 'Folder of images to score without a run.'),
      Flag('against', 'string', 'Folder that --images is compared with.'),
      _MEMBER,
      _OUTPUT,
    ),
    prints=False,
    reads_data=True,
    alone=('images', 'against'),
  ),
  'complete': Mode(
    'jaxgan.modes.complete:complete',
    (
      *_SEARCH,
      Flag(
        'mask',
        'string',
        'Missing pixels: random, centre, half, grid, low_resolution, or the '
        'path of a picture that is black there (centre).',
      ),
      Flag('blend', 'boolean', 'Blends the holes by the Poisson equation.'),
    ),
    prints=False,
    reads_data=True,
  ),
  'invert': Mode(
    'jaxgan.modes.complete:invert',
    (
      *_SEARCH,
      Flag(
        'space',
        'string',
        'Space of the search: latents z, styles w of StyleGAN2, or w+ with '
        'styles of each layer (z).',
        ('z', 'w', 'w+'),
      ),
    ),
    prints=False,
    reads_data=True,
  ),
  'explore': Mode(
    'jaxgan.modes.explore.start:explore',
    (Flag('port', 'integer', 'Port of 127.0.0.1 (a free one).'),),
    prints=False,
    reads_data=True,
    workdir='digits',
  ),
  'import': Mode(
    'jaxgan.modes.import_weights:import_weights',
    (
      Flag(
        'weights',
        'list',
        'Files of a generator, of its averages (with ema in the name) and of a '
        'discriminator, as G_ema.pth,D.pth.',
      ),
    ),
    reads_data=True,
  ),
  'export': Mode(
    'jaxgan.modes.export:export',
    (
      Flag(
        'format',
        'string',
        'Files for JAX (the default), these and a model in ONNX, or one page '
        'that shows a generator in a browser.',
        ('jax', 'onnx', 'html'),
      ),
      Flag(
        'runtime',
        'string',
        'Archive of onnxruntime-web for the page (fetched by npm).',
      ),
      _MEMBER,
      _OUTPUT,
    ),
  ),
  'replay': Mode(
    'jaxgan.modes.replay:replay',
    (
      Flag(
        'round',
        'integer',
        'Last round to replay, shown even if it is finite (the whole run).',
      ),
    ),
    prints=False,
    reads_data=True,
  ),
}


def modes_of(name: str) -> dict[str, Flag]:
  """Returns the flag `name` of each mode that has it, by mode."""
  return {
    mode: flag
    for mode, row in MODES.items()
    for flag in row.flags
    if flag.name == name
  }


def flag_names() -> list[str]:
  """Returns the names of all flags, without repetition."""
  flags = (flag.name for row in MODES.values() for flag in row.flags)
  return list(dict.fromkeys(flags))
