"""Image to image without pairs: CycleGAN.

Zhu et al. 2017 (https://arxiv.org/abs/1703.10593), equation 3. Generators F_ab
and F_ba translate between the domains a and b, and each image must come back.
There is one discriminator for each domain, which judges patches. Of a batch, a
is 'source' and b is 'image'. The generators minimise, for both ways,

  adversarial l(D_b(F_ab(a))) + cycle |F_ba(F_ab(a)) - a|
    + identity |F_ab(b) - b|.

  state, metrics = cyclegan.train_step(
      method, cyclegan.init(method, key), {'source': a, 'image': b}, key)

Discriminators learn first. Unlike the paper's, their losses are not halved.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan.adversarial import completion, image_pool, image_to_image, losses
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import tricks as tricks_lib
from jaxgan.adversarial.game import ADAM, Game, refuse_terms
from jaxgan.adversarial.tricks import Tricks
from jaxgan.config import game as game_config
from jaxgan.config import networks as networks_lib
from jaxgan.core import ema as ema_lib
from jaxgan.core import noise, switches
from jaxgan.core import state as state_lib
from jaxgan.core.state import Aux, TrainState
from jaxgan.data.dataset import Spec


def discriminator_loss(method, networks, state, batch, way, key, apply):
  """Returns the loss of the discriminator at the end of a way."""
  start, end = (_domains(batch)[domain] for domain in way)
  F, keys = networks[f'generator_{way}'], _keys(key, way)
  fake = F(start, key=keys['there'], train=method.tricks.batch_fakes).images
  fake, pool = method.tricks.replay_fakes(
    state, fake, keys['replay'], f'replay_{way[1]}'
  )
  real = (method.tricks.augment_inputs(state, end, keys['real']),)
  fake = (method.tricks.augment_inputs(state, fake, keys['fake']),)
  keys = discriminator_lib.loss_keys(keys['update'])
  seen = (f'discriminator_{way[1]}', real, fake, keys, apply, pool)
  return discriminator_lib.discriminator_loss(
    method, networks, state, batch, *seen
  )


def generators_loss(method, networks, state, batch, key):
  """Returns the loss of both generators: equation 3 and section 5.2."""
  total, stats, metrics = 0.0, {}, {}
  for way in WAYS:
    name, keys = f'generator_{way}', _keys(key, way)
    F, back = networks[name], networks[f'generator_{way[::-1]}']
    D = networks[f'discriminator_{way[1]}']
    start, end = (_domains(batch)[domain] for domain in way)
    there = F(start, key=keys['there'])
    fake = method.tricks.output_gradient(there.images)
    real, fake = method.tricks.augment_both(state, end, fake, keys)
    seen = ((real,), (fake,), keys['judge'])
    loss, *_ = discriminator_lib.generator_loss(method, state, D, *seen)
    values, total = {'loss': loss}, total + method.adversarial * loss
    if switches.is_on(method.cycle):
      returned = back(there.images, key=keys['back']).images
      values['cycle'] = _distance(returned, start, method.cycle_distance)
      total += method.cycle * values['cycle']
    if switches.is_on(method.identity):
      values['identity'] = _distance(F(end, key=keys['same']).images, end)
      total += method.identity * values['identity']
    stats[name], metrics[name] = there.stats, values
  return total, Aux(stats, metrics)


def train_step(method, state, batch, key):
  """One round: both discriminators, then both generators by one gradient.

  `batch` has 'source' [B, *shape_a] and 'image' [B, *shape_b] in [-1, 1].
  """
  key = jax.random.fold_in(key, state.step)
  state, ab = discriminator_step(method, state, 'ab', batch, key)
  state, ba = discriminator_step(method, state, 'ba', batch, key)
  state, found = generators_step(method, state, batch, key)
  return state.replace(step=state.step + 1), ab | ba | found


SHOWN_IMAGES = 10  # in each of the grids
# From domain to domain. The generator of a way is named after the way; the
# discriminator after the domain at its end.
WAYS = ('ab', 'ba')
GENERATORS, _KINDS = ('generator_ab', 'generator_ba'), ('real', 'fake')


def discriminator_step(method, state: TrainState, way: str, batch, key):
  """Updates the discriminator at the end of a way; key: of the round."""
  names = (f'discriminator_{way[1]}', discriminator_loss)
  return discriminator_lib.update(method, state, *names, batch, way, key)


def generators_step(method, state: TrainState, batch, key):
  """Updates both generators, and their averages."""
  state, metrics = state_lib.gradient_step(
    method, state, GENERATORS, generators_loss, batch, key
  )
  return ema_lib.follow(method, state, len(batch['image'])), metrics


def _domains(batch):
  return {'a': batch['source'], 'b': batch['image']}


def _distance(a, b, kind='l1'):
  return jnp.mean(completion.DISTANCES[kind](a - b))


def _keys(key, way: str) -> dict[str, jax.Array]:
  # All networks share 'there', and so the fakes.
  names = ('there', 'back', 'same', 'replay', 'real', 'fake', 'update')
  key = jax.random.fold_in(key, WAYS.index(way))
  keys = noise.keys(key, *names, 'ask_real', 'ask_fake')
  asked = {kind: jax.random.split(keys[f'ask_{kind}']) for kind in _KINDS}
  shown = {f'{kind}_show': show for kind, (show, _) in asked.items()}
  return keys | shown | {'judge': {k: judge for k, (_, judge) in asked.items()}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CycleGAN(Game):
  """The parts of the game that never change, with those of `Game`.

  Attributes:
    generator_ab: images of a to images of b; `generator_ba`: the way back.
    discriminator_a: images of a to logits [B] or maps of them [B, h, w].
    shape_a: shape of an image of a.
    generator_ab_optimizer: moves that generator.
    cycle: weight of the error of images that came back.
    cycle_distance: error of a pixel, a key of `completion.DISTANCES`.
    identity: weight of the mean absolute change of images of the end's domain.
  """

  generator_ab: nn.Module
  generator_ba: nn.Module
  discriminator_a: nn.Module
  discriminator_b: nn.Module
  shape_a: tuple[int, ...]
  shape_b: tuple[int, ...]
  generator_ab_optimizer: optax.GradientTransformation = ADAM
  generator_ba_optimizer: optax.GradientTransformation = ADAM
  discriminator_a_optimizer: optax.GradientTransformation = ADAM
  discriminator_b_optimizer: optax.GradientTransformation = ADAM
  loss: losses.Pair = losses.PAIRS['least_squares']
  tricks: Tricks = tricks_lib.build(
    replay_size=50, replay_share=0.5, replay_rule=image_pool.swap
  )
  cycle: float = 10.0
  cycle_distance: str = 'l1'
  identity: float = 5.0


def modules(method):
  """Returns all four networks with an example of their inputs."""
  examples = {}
  for way in WAYS:
    shape = getattr(method, f'shape_{way[0]}')
    examples[f'generator_{way}'] = jnp.zeros((1, *shape))
    examples[f'discriminator_{way[0]}'] = method.tricks.example(shape)
  return {name: (getattr(method, name), (x,)) for name, x in examples.items()}


def equilibrium_metrics(method) -> dict[str, float]:
  """Returns losses and D(x) where translations are distributed as images."""
  at = functools.partial(discriminator_lib.equilibrium_metrics, method.loss)
  ab, ba = GENERATORS
  return at('discriminator_b', ab) | at('discriminator_a', ba)


def init(method, key: jax.Array) -> TrainState:
  """Returns the state before the first round."""
  refuse_terms(method)
  networks = state_lib.create_all(method, modules(method), key)
  ema, extra = ema_lib.start(networks, GENERATORS, with_stats=True)
  for domain, shape in ('a', method.shape_a), ('b', method.shape_b):
    extra |= method.tricks.replay_fakes.init(shape, f'replay_{domain}')
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, extra)


def export_functions(method, state: TrainState):
  """Returns both generators for export; see `jaxgan.steps`."""
  shapes = zip(GENERATORS, (method.shape_a, method.shape_b), strict=True)
  return {
    name: image_to_image.export_function(method, state, name, shape)
    for name, shape in shapes
  }


def _returned(method, state: TrainState, way: str, batch, key):
  """Returns images where a way starts, translations, and returned images."""
  names, start = [f'generator_{x}' for x in (way, way[::-1])], way[0]
  return image_to_image.there_and_back(
    method, state, names, _domains(batch)[start], key
  )


def preview(method, state: TrainState, batch, key):
  """Returns 'a_b_a' and 'b_a_b' [3, N, H, W, C]: images, there, and back."""
  return {
    '_'.join(way + way[0]): image_to_image.rows(
      *_returned(method, state, way, batch, key)
    )
    for way in WAYS
  }


def evaluate(method, state: TrainState, batch):
  """Returns the mean absolute error of held-out images that came back."""

  def score(key, **pair):
    pair = {name: x[None] for name, x in pair.items()}
    scores = {}
    for way in WAYS:
      start, _, back = _returned(method, state, way, pair, key)
      scores[f'generator_{way}/held_out_cycle'] = _distance(back, start)
    return scores

  return image_to_image.mean_over_pairs(score, batch)


def from_config(config, spec: Spec) -> CycleGAN:
  """Builds the method; the only reader of the config for this algorithm."""
  game_config.refuse_domains(config, spec)
  shapes = {'a': spec.source_shape, 'b': spec.shape}
  fields = game_config.fields(config, spec, replay_rule=image_pool.swap)
  for way in WAYS:
    for kind, suffix in ('generator', way), ('discriminator', way[1]):
      fields |= networks_lib.network_fields(
        *(config, kind, config.batch_size, f'{kind}_{suffix}'),
        shape=shapes[way[1]],
      )
  fields |= {f'shape_{domain}': shape for domain, shape in shapes.items()}
  fields['cycle_distance'] = config.get('cycle_distance', 'l1')
  method = CycleGAN(**fields, cycle=config.cycle, identity=config.identity)
  for way in WAYS:
    generator = modules(method)[f'generator_{way}']
    game_config.refuse_shape(config, generator, shapes[way[1]])
  return method
