"""Training algorithms, one file each.

Every file holds a frozen dataclass of the parts that never change (the method)
and these functions:

  from_config(config, spec, axis_name=None) -> method
  init(method, key) -> TrainState
  train_step(method, state, batch, key) -> (TrainState, metrics)
  sample(method, state, key, num) -> images, what metrics score
  preview(method, state, batch, key) -> {name: images}, what a person looks at:
    images [N, H, W, C], or [rows, columns, H, W, C] where the layout matters;
    the first is the main picture. Several come in an OrderedDict: `jit` sorts
    the keys of a plain one
  evaluate(method, state, batch) -> scores of held-out images
  draws(method) -> batches of `batch_size` examples that a round takes
  modules(method) -> {name: (module, inputs)}, for the table at the start
  expected(method) -> {metric: value}, where theory says that metrics end
  SHOWN_IMAGES: examples that `preview` wants in its batch, always the same

Where images come from latents, there are also

  latent_space(method) -> (a key of noise.LATENTS, size)
  latents(method, key, num) -> [num, size]
  settle(method, state) -> state, with what need be found only once
  decode(method, settled state, latents, label=None) -> images

Where what was trained makes images, there is also

  served(method, state) -> {name: (function, weights, inputs)}, for others to
    use: the function takes the weights (a tree of arrays) and a batch of each
    of the inputs, and returns images; the inputs are examples by name, [1,
    ...], keys of `export.INPUTS`. The state is settled, where there is `settle`

Where there is a discriminator, the method extends `adversary.Adversary`, and
`jaxgan.discriminate` updates it.

`key` is the key of the run and never changes: a step folds in `state.step`, so
a resumed run draws the numbers that it would have drawn. Nothing here knows of
files, flags or the training loop.
"""

import importlib
import pkgutil

from jaxgan import errors


def find(name: str):
  """The module of the algorithm `name`."""
  known = [
    info.name
    for info in pkgutil.iter_modules(__path__)
    if not info.name.startswith('_')
  ]
  if name not in known:
    raise errors.unknown('method', name, known)
  return importlib.import_module(f'{__name__}.{name}')
