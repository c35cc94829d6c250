"""Tricks of GAN training, as functions that are set once per method.

`Tricks` collects the changes between generator and discriminator. All tricks
are the identity by default. `build` makes them from plain values. Tricks
compare by value, so that equal methods compile once. This needs functions that
compare by value: those of a module, or frozen dataclasses.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan import errors
from jaxgan.adversarial import (
  ada,
  adaptive,
  augment,
  image_pool,
  losses,
  soft_labels,
)
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial.gradient_norm import NormaliseGradient, OutputGradient
from jaxgan.adversarial.terms import per_example
from jaxgan.core import pixels as pixels_lib
from jaxgan.core import switches
from jaxgan.core.state import TrainState, images_seen

# Keys of pipes and flips; those of other augmentations start at 0.
PIPE_STREAM, FLIP_STREAM = 2**30, 2**30 + 1


@dataclasses.dataclass(frozen=True)
class AugmentInputs:
  """Augments, perturbs and packs images before a discriminator sees them.

  Attributes:
    augmentations: rows of `augment.AUGMENTATIONS`.
    noise: standard deviation of instance noise.
    noise_images: images after which the noise is zero; 0 keeps it constant.
    pack: examples that the discriminator sees as one.
    pipe: a row of `ada.PIPES`, which comes first; None is off.
    strength: probability of the pipe's operations.
  """

  augmentations: tuple[Callable, ...] = ()
  noise: float = 0.0
  noise_images: float = 0
  pack: int = 1
  pipe: ada.Pipe | None = None
  strength: adaptive.Fixed | adaptive.Adaptive = adaptive.OFF

  def __call__(self, state: TrainState, x, key):
    """Returns images [B / pack, ...] of [B, ...], or a tuple of scales."""
    return jax.tree.map(lambda x: self._one(state, x, key), x)

  def _one(self, state: TrainState, x, key):
    keys = jax.random.split(key, len(self.augmentations) + 1)
    if self.pipe is not None:
      pipe_key = jax.random.fold_in(key, PIPE_STREAM)
      x = self.pipe(x, pipe_key, self.strength.at(state))
    for index, change in enumerate(self.augmentations):
      x = change(x, keys[index])
    if switches.is_on(self.noise):
      deviation = augment.fading(
        self.noise, self.noise_images, images_seen(state, len(x))
      )
      x = augment.instance_noise(x, keys[-1], deviation)
    return augment.pack(x, self.pack)


@dataclasses.dataclass(frozen=True)
class ReplayFakes:
  """Replaces some fakes by earlier ones; the pool is in the state's 'extra'.

  Attributes:
    size: number of earlier fakes in the pool; 0 is off.
    share: share of fakes that are replaced by earlier ones.
    rule: `image_pool.mix` or `image_pool.swap`.
  """

  size: int = 0
  share: float = 0.0
  rule: Callable = image_pool.mix

  def init(self, shape: tuple[int, ...], name: str = 'replay'):
    """Returns {name: empty pool}, or {} if replay is off."""
    return {name: image_pool.create(self.size, shape)} if self.size else {}

  def __call__(self, state: TrainState, fake, key, name: str = 'replay'):
    """Returns fakes [B, ...], and the parts of 'extra' that changed."""
    if not self.size:
      return fake, {}
    if isinstance(fake, tuple):
      raise errors.UserError(
        f'replay_size={self.size} keeps images of one scale. Set replay_size=0.'
      )
    fake, pool = self.rule(state.extra[name], fake, key, self.share)
    return fake, {name: pool}


@dataclasses.dataclass(frozen=True)
class SoftenLabels:
  """Gives every label of the discriminator a random share of the other class.

  Attributes:
    noise: largest random share that is taken from a label.
    flip: probability of a flipped label.
  """

  noise: float = 0.0
  flip: float = 0.0

  def __call__(self, loss: losses.Pair, examples, key) -> losses.Pair:
    """Returns the losses with random labels for B reals and B fakes."""
    if not (switches.is_on(self.noise) or switches.is_on(self.flip)):
      return loss
    count = len(jax.tree.leaves(examples)[0])
    shares = soft_labels.label_shares(key, count, self.noise, self.flip)
    return soft_labels.soften(loss, *shares)


@dataclasses.dataclass(frozen=True)
class SelectFakes:
  """Weighs the fakes that the generator learns from.

  Sinha et al. 2020 (https://arxiv.org/abs/2002.06224), section 3: the
  generator learns from the fakes that look most real.

  Attributes:
    share: final share of fakes that count.
    images: images after which the share is reached; 0 is from the start.
    pack: see `AugmentInputs`.
  """

  share: float = 1.0
  images: float = 0
  pack: int = 1

  def __call__(self, state: TrainState, values, logits):
    """Returns values [B] or [B, h, w] as weighted means [B] over each map."""
    values = per_example(values)
    if self.share >= 1.0:
      return values
    share = self.share
    if self.images:
      seen = images_seen(state, len(logits) * self.pack)
      share += augment.fading(1.0 - share, self.images, seen)
    return values * losses.top_share(per_example(logits), share)


@dataclasses.dataclass(frozen=True)
class Tricks:
  """Changes between the generator and the discriminator.

  Attributes:
    augment_inputs: (state, images, key) -> images that a discriminator sees.
    replay_fakes: (state, fake, key) -> fakes, and the changed part of 'extra'.
    updates: gradient steps of the discriminator on one batch, each a function
      of `discriminator.UPDATES`.
    soften_labels: (losses, images, key) -> losses of the discriminator.
    select_fakes: (state, generator losses, logits) -> weighted losses [B].
    output_gradient: images -> images whose gradient is changed.
    normalise_gradient: (judge, images, state) -> loss of the generator.
    batch_fakes: True if fakes for the discriminator use statistics of their
      batch, False if they use running statistics.
    freeze: discriminator -> the same function, some of whose layers do not
      learn.
    flip_reals: True to mirror half of the reals, and no fakes.
  """

  augment_inputs: AugmentInputs = AugmentInputs()
  replay_fakes: ReplayFakes = ReplayFakes()
  updates: tuple[Callable, ...] = discriminator_lib.UPDATES['separate']
  soften_labels: SoftenLabels = SoftenLabels()
  select_fakes: SelectFakes = SelectFakes()
  output_gradient: OutputGradient = OutputGradient()
  normalise_gradient: NormaliseGradient = NormaliseGradient()
  batch_fakes: bool = True
  freeze: discriminator_lib.Freeze = discriminator_lib.Freeze()
  flip_reals: bool = False

  @property
  def pack(self) -> int:
    return self.augment_inputs.pack

  def prepare(self, real, fake, keys):
    """Returns reals before augmentation: flipped, at the scales of fakes."""
    if self.flip_reals:
      key = jax.random.fold_in(keys['real_show'], FLIP_STREAM)
      real = augment.flip(real, key)
    return pixels_lib.at_scales_of(real, fake)

  def augment_both(self, state: TrainState, real, fake, keys):
    """Returns augmented reals, at the scales of the fakes, and fakes."""
    real = self.prepare(real, fake, keys)
    return (
      self.augment_inputs(state, real, keys['real_show']),
      self.augment_inputs(state, fake, keys['fake_show']),
    )

  def example(self, shape: tuple[int, ...]) -> Any:
    """Returns zeros [1, ...] of the shape of an augmented image."""
    return augment.pack(jnp.zeros((self.pack, *shape)), self.pack)


FAKES = ('batch', 'running')


def build(
  *,
  augmentations: tuple[Callable, ...] = (),
  instance_noise: float = 0.0,
  instance_noise_images: float = 0,
  pack: int = 1,
  replay_size: int = 0,
  replay_share: float = 0.0,
  replay_rule: Callable = image_pool.mix,
  discriminator_batches: str = 'separate',
  label_noise: float = 0.0,
  label_flip: float = 0.0,
  top_k: float = 1.0,
  top_k_images: float = 0,
  fakes: str = 'batch',
  pipe: ada.Pipe | None = None,
  strength: adaptive.Fixed | adaptive.Adaptive = adaptive.OFF,
  frozen_layers: tuple[str, ...] = (),
  flip_reals: bool = False,
  gradient_average: float = 0.0,
) -> Tricks:
  """Returns tricks from plain values.

  Args:
    augmentations: rows of `augment.AUGMENTATIONS`.
    instance_noise: standard deviation of noise on the discriminator's inputs.
    instance_noise_images: images after which the noise is zero; 0 keeps it.
    pack: examples that the discriminator sees as one.
    replay_size: number of earlier fakes in the pool; 0 is off.
    replay_share: share of fakes that are replaced by earlier ones.
    replay_rule: `image_pool.mix` or `image_pool.swap`.
    discriminator_batches: a key of `discriminator.UPDATES`.
    label_noise: largest random share taken from the discriminator's labels.
    label_flip: probability with which its labels are flipped.
    top_k: final share of fakes that the generator learns from.
    top_k_images: images after which that share is reached; 0 is from the start.
    fakes: statistics of fakes for the discriminator, 'batch' or 'running'.
    pipe: a row of `ada.PIPES`; None is off.
    strength: probability of the pipe's operations. An adaptive one needs the
      term of `adaptive.terms_of`.
    frozen_layers: names of the discriminator's layers that do not learn.
    flip_reals: True to mirror half of the reals.
    gradient_average: decay of the average of `NormaliseGradient`; 0 is off.
  """
  return Tricks(
    augment_inputs=AugmentInputs(
      augmentations,
      instance_noise,
      instance_noise_images,
      pack,
      pipe,
      strength,
    ),
    replay_fakes=ReplayFakes(replay_size, replay_share, replay_rule),
    updates=discriminator_lib.UPDATES[discriminator_batches],
    soften_labels=SoftenLabels(label_noise, label_flip),
    select_fakes=SelectFakes(top_k, top_k_images, pack),
    batch_fakes=fakes == 'batch',
    freeze=discriminator_lib.Freeze(tuple(frozen_layers)),
    flip_reals=flip_reals,
    normalise_gradient=NormaliseGradient(gradient_average),
  )
