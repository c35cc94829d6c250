"""--mode=evaluate of two folders: scores of images, without a run or labels.

  python -m jaxgan.main --mode=evaluate --images=samples --against=photos

The images of both folders are read as training images are, at one size. The
name of a number carries its protocol, as in
`frechet/random-0/1000-photos-32x32x3/500`: score, features, number, folder and
shape of the real images, and number of images to score.
"""

import dataclasses
import json
import re
import time

import jax

from jaxgan import config as config_lib
from jaxgan import data, errors
from jaxgan.core import buckets, memory, paths
from jaxgan.metrics import scores
from jaxgan.modes import features as features_lib
from jaxgan.modes import requests as request_lib
from jaxgan.training import data_files, writers
from jaxgan.training import devices as devices_lib

FILE = 'eval.jsonl'  # that lines of scores are appended to
# Fields of `config.data` that say how files are read.
FIELDS = ('image_size', 'resize', 'channels', 'range', 'max_pixels', 'on_bad')


@dataclasses.dataclass(frozen=True)
class Request:
  """The flags that apply to folders.

  Attributes:
    num: largest number of images of each folder.
    seed: seed of all draws of scores.
    scores: names of rows of `scores.SCORES`; () for all.
    features: name of features, see `scores.is_features`.
    data: fields of `config.data` to change, see `FIELDS`.
  """

  num: int = 10_000
  seed: int = 0
  scores: tuple[str, ...] = ()
  features: str = 'random'
  data: dict | None = None


def compare(
  workdir, images: str, against: str, output: str | None = None, **fields
) -> dict[str, float | str]:
  """Scores a folder of images against another, and prints table and JSON.

  Args:
    workdir: must be '', because no run is read.
    images: folder of the images to score.
    against: folder of real images.
    output: folder whose `eval.jsonl` gets the line; None for no file.
    **fields: fields of `Request`.

  Returns:
    The scores by name and protocol, and the folders.

  Raises:
    UserError: for flags that belong to runs, images that cannot be read, and
      folders whose images differ in size.
  """
  start = time.monotonic()
  request = _request(workdir, images, against, fields)
  names = scores.rows(request.scores, request.features)
  devices_lib.use_compilation_cache()
  devices_lib.use_float32()
  fake, real = _load(request, images, against)
  features = features_lib.find(request.features, None)
  key = jax.random.key(request.seed)
  fake_images, real_images = (
    features.see(part.evenly(request.num)['image']) for part in (fake, real)
  )
  values = scores.compute(real_images, fake_images, key, names)
  num_real, num_fake = (len(x.pixels) for x in (real_images, fake_images))
  shape = 'x'.join(map(str, real.spec.shape))
  protocol = f'{features.name}/{num_real}-{real.name}-{shape}/{num_fake}'
  line = {f'{name}/{protocol}': value for name, value in values.items()}
  line |= {'images': images, 'against': against}
  line['seconds'] = round(time.monotonic() - start, 1)
  columns = {'images': values, 'ideal': scores.ideal(real_images, num_fake)}
  title = f'{num_fake:,} images of {errors.printable(fake.name)}'
  print(
    f'features: {features.name}; {num_real:,} images of '
    f'{errors.printable(real.name)}, {shape.replace("x", " x ")}\n'
  )
  print(scores.table(title, columns), end='\n\n')
  print(buckets.named(json.dumps(line)), flush=True)
  if output is not None:
    folder = paths.of_user(output, '--output')
    folder.mkdir(parents=True, exist_ok=True)
    writers.append_json_line(folder / FILE, line)
  return line


def _request(workdir, images, against, fields) -> Request:
  """Returns the request; raises a UserError for flags that do not fit."""
  for flag, other, value in (
    ('images', 'against', against),
    ('against', 'images', images),
  ):
    if not value:
      raise errors.UserError(
        f'--{flag} scores a folder of images, and --{other} is missing. Set '
        f'--{other} to the folder to compare with.'
      )
  known = {field.name for field in dataclasses.fields(Request)}
  others = ['workdir'] * bool(workdir) + [k for k in fields if k not in known]
  if others:
    raise errors.UserError(
      f'--{others[0]} is for runs, and --images scores a folder. Remove one of '
      'the two flags.'
    )
  request = Request(**fields)
  request_lib.check_range('num', request.num, 2, scores.MOST_IMAGES)
  request_lib.check_range('seed', request.seed, 0, request_lib.MOST_SEED)
  if request.features == 'classifier':
    raise errors.UserError(
      '--features=classifier belongs to the labelled data of a run, and '
      '--images scores a folder. Set --features=random.'
    )
  return request


def _load(request: Request, images: str, against: str):
  """Returns both folders as data sets of images of one shape."""
  settings = config_lib.defaults().data
  settings.source = 'folder'
  for name, value in (request.data or {}).items():
    if name not in FIELDS:
      raise errors.UserError(
        f'--config.data.{name} does not fit --images. Remove it; '
        f'{", ".join(FIELDS)} may be set.'
      )
    settings[name] = data_files.parsed(name, value)
  folders = {'images': images, 'against': against}
  sets = {flag: _folder(settings, flag, f) for flag, f in folders.items()}
  shapes = {flag: part.spec.shape for flag, part in sets.items()}
  sizes = {flag: shape[:2] for flag, shape in shapes.items()}
  if sizes['images'] != sizes['against']:
    texts = [' x '.join(map(str, size)) for size in sizes.values()]
    raise errors.DataError(
      f'images of --images are {texts[0]} and images of --against {texts[1]}. '
      'Set --config.data.image_size to one size for both.'
    )
  channels = {shape[2] for shape in shapes.values()}
  if len(channels) > 1:
    # Grey images, of which one folder is full, are shown in colour.
    settings.channels = max(channels)
    sets = {flag: _folder(settings, flag, f) for flag, f in folders.items()}
  for part in sets.values():
    num = min(part.size, request.num)
    memory.refuse(
      num * part.num_bytes // part.size, f'--num={num}', 'Lower it.'
    )
  return sets['images'], sets['against']


def _folder(settings, flag: str, path: str) -> data.Dataset:
  settings.path = path
  try:
    return data.load(settings)
  except errors.DataError as error:
    text = str(error).replace('data.path', f'--{flag}')
    text = re.sub(r'(?<![\w.-])data\.', '--config.data.', text)
    raise errors.DataError(text) from None
