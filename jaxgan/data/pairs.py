"""Examples of two images: 'source' [H, W, D] and 'image' [H, W, C], uint8.

`paired` returns two views of each scene, for pix2pix: the source is computed
from the image, is one half of a file, or is another file. `unpaired` returns
images of two domains, for CycleGAN.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from jaxgan import errors
from jaxgan.data import dataset, derived, partners
from jaxgan.data.dataset import Dataset

SIDES = ('left', 'right')

# (config.data, split) -> Dataset.
Source = Callable[..., Dataset]


PAIRED = (
  *derived.MADE,
  *(f'{name}:NUMBER' for name in derived.MADE_BY_NUMBER),
  *(f'halves:{side}' for side in SIDES),
  *('folder:PATH', 'feature:NAME'),
)
UNPAIRED = (
  *('classes', 'splits', 'folder:PATH'),
  *(f'halves:{name}' for name in derived.MADE),
)


def paired(source: Source, settings, split: str) -> Dataset:
  """Returns two views of every scene, as `settings.pair` defines.

  `settings.pair` is one of:

    'edges', 'grey', 'outline'  the source is computed by the function of that
                                name in `derived`
    'low:4', 'masked:16'        the source is computed by `low_resolution` or
                                `masked`
    'halves:left'               the left half of a file is the source, the right
                                half the image
    'halves:right'              the right half of a file is the source
    'folder:PATH'               the source is the file in PATH of the same name;
                                the suffix may differ
    'feature:NAME'              the source is the feature NAME of a TFDS set

  The image of 'feature:NAME' is the feature `settings.feature`, by default
  'image'.

  Args:
    source: a row of `data.SOURCES`.
    settings: `config.data`.
    split: 'train' or 'test'.

  Raises:
    DataError: for names without a partner, for two images of different sizes,
      and for halves of an odd width.
  """
  kind, _, value = settings.pair.partition(':')
  if kind in derived.MADE and not value:
    return _with_made(source(settings, split), derived.MADE[kind])
  is_number = value.isdecimal() and len(value) < 10
  if kind in derived.MADE_BY_NUMBER and is_number and int(value):
    make = functools.partial(derived.MADE_BY_NUMBER[kind], int(value))
    return _with_made(source(settings, split), make)
  if kind == 'halves' and value in SIDES:
    return _halves(source(settings, split), value)
  if kind == 'folder' and value:
    return _folders(source, settings, split, value, same_names=True)
  if kind == 'feature' and value:
    if settings.source != 'tfds':
      raise errors.DataError(
        f'data.pair={settings.pair!r} is for data.source=tfds, not '
        f'{settings.source!r}. Set data.source=tfds or another data.pair.'
      )
    other = _changed(settings, feature=value)
    return _beside(source(settings, split), source(other, split))
  raise errors.unknown('data.pair', settings.pair, PAIRED)


def unpaired(source: Source, settings, split: str) -> Dataset:
  """Returns unrelated images of two domains, as `settings.unpaired` defines.

  `settings.unpaired` is one of:

    'classes'      sources have the first of the two `settings.classes`, images
                   the second
    'splits'       sources are the TFDS split 'trainA' or 'testA', images
                   'trainB' or 'testB', as in cycle_gan/*
    'folder:PATH'  sources are in PATH, images in `settings.path`
    'halves:edges' sources are made of every second image by that function of
                   `derived`, images are those in between

  An epoch visits all images of the larger domain and repeats those of the
  smaller domain. The partners are drawn once: the losses of CycleGAN depend on
  single images.

  Args:
    source: a row of `data.SOURCES`.
    settings: `config.data`.
    split: 'train' or 'test'.

  Raises:
    DataError: if there are not two domains, or their images differ in size.
  """
  kind, _, value = settings.unpaired.partition(':')
  if kind == 'classes' and not value:
    if len(settings.classes) != 2:
      raise errors.DataError(
        f'data.classes={tuple(settings.classes)} must name two classes with '
        "data.unpaired='classes'. Set for example data.classes=('3','8')."
      )
    images = dataset.of_classes(source(settings, split), settings.classes)
    first, second = (
      dataset.subset(images, np.flatnonzero(images.labels == k)) for k in (0, 1)
    )
    for part, name in zip((first, second), settings.classes, strict=True):
      if not part.size:
        raise errors.DataError(
          f'data.classes={tuple(settings.classes)} is wrong because the '
          f'{split} split has no image of {name!r}. Choose another class.'
        )
  elif kind == 'splits' and not value:
    if settings.source != 'tfds':
      raise errors.DataError(
        "data.unpaired='splits' is for data.source=tfds, not "
        f'{settings.source!r}. Set data.source=tfds or another data.unpaired.'
      )
    first, second = (
      dataclasses.replace(source(settings, f'{split}{k}'), split=split)
      for k in 'AB'
    )
  elif kind == 'halves' and value in derived.MADE:
    images = source(settings, split)
    if settings.classes:
      images = dataset.of_classes(images, settings.classes)
    rows = np.arange(images.size)
    made = _with_made(images, derived.MADE[value], 'image')
    first, second = (
      dataset.subset(part, rows[start::2])
      for part, start in ((made, 1), (images, 0))
    )
  elif kind == 'folder' and value:
    return _folders(source, settings, split, value, same_names=False)
  else:
    raise errors.unknown('data.unpaired', settings.unpaired, UNPAIRED)
  return _mixed(first, second)


def _changed(settings, **fields):
  settings = settings.copy_and_resolve_references()
  settings.update(fields)
  return settings


def _with_made(
  images: Dataset, make: Callable, name: str = 'source'
) -> Dataset:
  """Adds the result of `make` to every image, or replaces the 'image'."""
  _refuse_points(images)
  shape = make(np.zeros(images.spec.shape, np.uint8)).shape

  def read(index):
    example = images.read(index)
    return {**example, name: make(example['image'])}

  columns = images.columns
  if columns is not None:
    sources = np.stack([make(image) for image in columns['image']])
    columns = {**columns, name: sources}
  field = 'shape' if name == 'image' else 'source_shape'
  spec = dataclasses.replace(images.spec, **{field: shape})
  read_many = dataset.one_by_one(read)
  return dataclasses.replace(
    images, spec=spec, read_many=read_many, columns=columns
  )


def _refuse_points(points: Dataset) -> None:
  if not points.spec.is_image:
    raise errors.DataError(
      f'data.name={points.name!r} is wrong because its examples are points and '
      'pairs need images. Choose a set of images.'
    )


def _halves(files: Dataset, side: str) -> Dataset:
  """Splits every image in two views, its left and right halves."""
  _refuse_points(files)
  height, width, channels = files.spec.shape
  if width % 2:
    raise errors.DataError(
      f"data.pair='halves:{side}' is wrong because images are {height} x "
      f'{width} and an odd width has no halves. Set data.image_size to the '
      'side of one half.'
    )
  shape = (height, width // 2, channels)

  def split(columns):
    left, right = np.split(columns['image'], 2, axis=-2)
    source, image = (left, right) if side == 'left' else (right, left)
    return {**columns, 'image': image, 'source': source}

  spec = dataclasses.replace(files.spec, shape=shape, source_shape=shape)
  return dataclasses.replace(
    files,
    spec=spec,
    read_many=dataset.one_by_one(lambda index: split(files.read(index))),
    columns=None if files.columns is None else split(files.columns),
  )


def _folders(source: Source, settings, split, path, same_names) -> Dataset:
  """Joins sources in the folder `path` and images in `settings.path`."""
  field = 'pair' if same_names else 'unpaired'
  if settings.source != 'folder':
    raise errors.DataError(
      f"data.{field}='folder:{path}' needs data.source=folder. Set "
      'data.source=folder and data.path to the folder of the images.'
    )
  if same_names:
    if settings.on_bad == 'skip':
      raise errors.DataError(
        "data.on_bad='skip' is wrong because skipped images leave partners "
        'alone. Set data.on_bad=error and remove both files of a bad pair.'
      )
    partners.refuse_lonely(settings.path, path)
  images = source(settings, split)
  sources = source(_changed(settings, path=path), split)
  if same_names:
    partners.refuse_other_sides(images, sources)
    return _beside(images, sources)
  return _mixed(sources, images)


def _refuse_sizes(image: Dataset, source: Dataset) -> None:
  _refuse_points(image)
  _refuse_points(source)
  sizes = image.spec.shape[:2], source.spec.shape[:2]
  if sizes[0] != sizes[1]:
    raise errors.DataError(
      f'images are {sizes[0][0]} x {sizes[0][1]} and their sources '
      f'{sizes[1][0]} x {sizes[1][1]}. Set data.image_size.'
    )


def _beside(image: Dataset, source: Dataset) -> Dataset:
  """Joins two data sets of equal length into pairs."""
  _refuse_sizes(image, source)
  columns = None
  if image.columns is not None and source.columns is not None:
    columns = {**image.columns, 'source': source.columns['image']}
  return dataclasses.replace(
    image,
    spec=dataclasses.replace(image.spec, source_shape=source.spec.shape),
    read_many=dataset.one_by_one(
      lambda index: {
        **image.read(index),
        'source': source.read(index)['image'],
      }
    ),
    columns=columns,
    identity={**image.identity, 'partner': dict(source.identity)},
    files=image.files + source.files,
  )


def _mixed(source: Dataset, image: Dataset) -> Dataset:
  """Joins two data sets at random; repeats images of the shorter data set."""
  rng = np.random.default_rng(0)
  size = max(source.size, image.size)
  source, image = (
    _without_labels(dataset.subset(domain, rng.permutation(size) % domain.size))
    for domain in (source, image)
  )
  return _beside(image, source)


def _without_labels(images: Dataset) -> Dataset:
  """Removes the labels, because a class here is a domain."""
  columns = images.columns
  if columns is not None:
    columns = {'image': columns['image']}
  return dataclasses.replace(
    images,
    spec=dataset.Spec(images.spec.shape),
    read_many=dataset.one_by_one(
      lambda index: {'image': images.read(index)['image']}
    ),
    columns=columns,
    labels=None,
  )
