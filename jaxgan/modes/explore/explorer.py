"""Answers the requests of a page. A request contains all that it depends on.

The cache of checkpoints is the only state, so that two pages of one server do
not disturb each other.
"""

import collections
import functools
import threading
from collections.abc import Callable

import numpy as np

from jaxgan.core.ranges import MOST_ROUNDS
from jaxgan.modes import restore as restore_lib
from jaxgan.modes.explore import directions as directions_lib
from jaxgan.modes.explore import forms, uploads
from jaxgan.modes.explore import model as model_lib
from jaxgan.modes.explore.model import Model
from jaxgan.training import data_files

CACHE_BYTES = 2**31
PICTURE_BYTES = 2**27  # of held-out pictures


class Cache:
  """Values by key; the oldest are dropped if the bytes exceed a limit.

  Args:
    make: returns the value of a key and its bytes.
    most_bytes: the limit. The newest value is always kept.
  """

  def __init__(self, make: Callable, most_bytes: int = CACHE_BYTES):
    self._make, self._most = make, most_bytes
    self._values = collections.OrderedDict()
    self._lock = threading.Lock()

  def get(self, *key):
    """Returns the value of a key, made by the first call."""
    with self._lock:
      if key not in self._values:
        self._values[key] = self._make(*key)
        self._drop()
      self._values.move_to_end(key)
      return self._values[key][0]

  def put(self, key: tuple, value, size: int) -> None:
    """Adds a value that was made elsewhere."""
    with self._lock:
      self._values[key] = value, size

  def _drop(self) -> None:
    while len(self._values) > 1 and self._most < sum(
      size for _, size in self._values.values()
    ):
      self._values.popitem(last=False)


class Explorer:
  """The run that pages show.

  Args:
    workdir: the folder of the run.
    data: fields of `config.data` to change, see `data_files.FIELDS`.

  Attributes:
    name: name of the workdir.
    members: members of the population; 0 for a single run.
    newest: step of the newest valid checkpoint at the start.
    searching: held by a search, so that searches take turns.
  """

  def __init__(self, workdir, data=None):
    self.workdir = restore_lib.find(workdir)
    self.name = self.workdir.resolve().name
    self._given, self._data = workdir, data
    self.members = restore_lib.num_members(workdir)
    self._models = Cache(self._restore)
    self._directions = Cache(self._find_directions)
    self._pictures = Cache(self._read_pictures, PICTURE_BYTES)
    self.searching = threading.Lock()
    model, size = self._restore(None, 0)
    self.newest = int(model.state.step)
    self._models.put((self.newest, 0), model, size)

  def steps(self) -> list[int]:
    """Returns the steps of all checkpoints, oldest first."""
    return sorted(restore_lib.steps_of(self._given))

  def _restore(self, step: int | None, member: int):
    member = member if self.members else None
    model = model_lib.restore(self._given, step, member)
    data_files.change(model.run.config.data, self._data)
    return model, model.num_bytes

  def _find_directions(self, step: int, member: int):
    model = self._models.get(step, member)
    found = directions_lib.find(model, self.pictures)
    return found, found.vectors.nbytes

  def _read_pictures(self, column: str, num: int, seed: int):
    model = self._models.get(self.newest, 0)
    found = uploads.held_out(model.run, self.workdir, column, num, seed)
    return found, found.nbytes

  @property
  def pictures(self) -> Callable:
    """Function (num, seed) -> held-out images, see `uploads.held_out`."""
    return functools.partial(self.held_out, 'image')

  def held_out(self, column: str, num: int, seed: int) -> np.ndarray:
    """Returns pictures of the data, see `uploads.held_out`."""
    return self._pictures.get(column, num, seed)

  def key(self, form: dict) -> tuple[int, int]:
    """Returns the step and the member that a request names."""
    member = forms.integer(form, 'member', 0, max(self.members - 1, 0), 0)
    step = forms.integer(form, 'step', 0, MOST_ROUNDS, self.newest)
    return step, member

  def model(self, form: dict) -> Model:
    """Returns the model that a request names."""
    return self._models.get(*self.key(form))

  def directions(self, form: dict) -> directions_lib.Directions:
    """Returns the directions of the checkpoint that a request names."""
    return self._directions.get(*self.key(form))
