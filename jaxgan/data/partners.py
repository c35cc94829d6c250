"""Checks that images of two folders are partners: same names, same sides."""

from jaxgan import errors
from jaxgan.core import paths
from jaxgan.data import files as files_lib
from jaxgan.data.dataset import Dataset


def refuse_lonely(path: str, other: str) -> None:
  """Raises a DataError that names an image whose partner is missing."""
  names = []
  for root in (paths.of_user(p, 'data.path') for p in (path, other)):
    listing = files_lib.list_files(root)
    names.append({files_lib.stem(listing.name(f)) for f in listing.files})
    if len(names[-1]) < len(listing.files):
      raise errors.DataError(
        f'{root} holds images whose names differ only in the suffix. Keep one '
        'file of each name in each folder.'
      )
  lonely = sorted(names[0] ^ names[1])
  if lonely:
    lacking = other if lonely[0] in names[0] else path
    raise errors.DataError(
      f'{len(lonely)} images have no partner of the same name: the first is '
      f'{lonely[0]!r}, which {lacking!r} lacks. Add or remove files.'
    )


def refuse_other_sides(images: Dataset, sources: Dataset) -> None:
  """Raises a DataError if a held-out image has a partner to train on."""
  sides, others = (
    [(files_lib.stem(file.name), file.held_out) for file in part.files]
    for part in (images, sources)
  )
  if sides != others:
    raise errors.DataError(
      'the two folders of pairs have other classes, so that other files are '
      f'held out: {files_lib.LABELS} is in one of them. Copy it to both.'
    )
