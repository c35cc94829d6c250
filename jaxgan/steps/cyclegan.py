"""Image to image without pairs: CycleGAN.

Two generators translate between the domains a and b, and each image must come
back from there; one discriminator for each domain, patch by patch (Zhu et al.
2017, https://arxiv.org/abs/1703.10593). Of a batch, a is 'source' and b is
'image'.

  method = cyclegan.CycleGAN(
      generator_ab=translate.ResNet((256, 256, 3)), ...,
      shape_a=(256, 256, 3), shape_b=(256, 256, 3))
  state = cyclegan.init(method, key)
  state, metrics = cyclegan.train_step(
      method, state, {'source': some, 'image': others}, key)

The discriminators come first, as in the other algorithms. The paper halves
their losses, which Adam does not notice.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import errors
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.adversarial import image_pool, image_to_image, losses, tricks
from jaxgan.config import networks as networks_lib
from jaxgan.core import noise, switches
from jaxgan.core import state as state_lib
from jaxgan.core.state import TrainState
from jaxgan.data.dataset import Spec

SHOWN_IMAGES = 10  # in each of the grids
# From domain to domain. The generator of a way is named after it; the
# discriminator after the domain at its end.
WAYS = ('ab', 'ba')
GENERATORS = ('generator_ab', 'generator_ba')
_ADAM = optax.adam(2e-4, b1=0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CycleGAN(tricks.Adversary):
  """The parts of the game that never change, with those of `Adversary`.

  Attributes:
    generator_ab: images of a [B, *shape_a] to images of b [B, *shape_b];
      `generator_ba`: the way back.
    discriminator_a: images of a to logits [B] or maps of them [B, h, w];
      `discriminator_b`: images of b likewise.
    shape_a: shape of an image of a; `shape_b` of b.
    generator_ab_optimizer: moves that generator, and so on.
    loss: a row of `losses.PAIRS`.
    cycle: weight of the mean absolute error of images that came back.
    identity: weight of the mean absolute change of images of b by
      `generator_ab`, and the other way round.
    replay_size: earlier fakes of each domain that are kept.
    replay_share: share of fakes that are swapped for these by `replay.swap`.
  """

  generator_ab: nn.Module
  generator_ba: nn.Module
  discriminator_a: nn.Module
  discriminator_b: nn.Module
  shape_a: tuple[int, ...]
  shape_b: tuple[int, ...]
  generator_ab_optimizer: optax.GradientTransformation = _ADAM
  generator_ba_optimizer: optax.GradientTransformation = _ADAM
  discriminator_a_optimizer: optax.GradientTransformation = _ADAM
  discriminator_b_optimizer: optax.GradientTransformation = _ADAM
  loss: losses.Pair = losses.PAIRS['least_squares']
  cycle: float = 10.0
  identity: float = 5.0
  replay_size: int = 50
  replay_share: float = 0.5


def from_config(config, spec: Spec, axis_name: str | None = None) -> CycleGAN:
  """Builds the method; the only reader of the config for this algorithm."""
  if not config.data.get('unpaired'):
    raise errors.UserError(
      "method='cyclegan' needs two domains; set data.unpaired, for one to "
      "'classes' and data.classes to two of them"
    )
  shapes = {'a': spec.source_shape, 'b': spec.shape}
  if switches.is_on(config.identity) and shapes['a'] != shapes['b']:
    raise errors.UserError(
      f'identity={config.identity} needs images of one shape and those of the '
      f'domains are {shapes["a"]} and {shapes["b"]}; set identity=0.0, or '
      'data.channels'
    )
  fields = tricks.from_config(config, spec, axis_name)
  for way in WAYS:
    derived = {'shape': shapes[way[1]], 'axis_name': axis_name}
    for player, place in ('generator', way), ('discriminator', way[1]):
      name = f'{player}_{place}'
      fields[name], fields[f'{name}_optimizer'] = networks_lib.build_network(
        config, player, config.batch_size, **derived
      )
  fields |= {f'shape_{domain}': shape for domain, shape in shapes.items()}
  method = CycleGAN(**fields, cycle=config.cycle, identity=config.identity)
  for way in WAYS:
    module, inputs = modules(method)[f'generator_{way}']
    image_to_image.refuse_shape(config, module, inputs, shapes[way[1]])
  return method


def modules(method: CycleGAN):
  """All four networks with an example of their inputs, for tables."""
  examples = {}
  for way in WAYS:
    shape = getattr(method, f'shape_{way[0]}')
    examples[f'generator_{way}'] = jnp.zeros((1, *shape))
    shown = tricks.shown_example(method, shape)
    examples[f'discriminator_{way[0]}'] = shown
  return {name: (getattr(method, name), (x,)) for name, x in examples.items()}


def expected(method: CycleGAN) -> dict[str, float]:
  """Losses and D(x) where translations are distributed as images."""
  ends = zip(('discriminator_b', 'discriminator_a'), GENERATORS, strict=True)
  ab, ba = (tricks.expected(method.loss, *players) for players in ends)
  return ab | ba


def draws(method: CycleGAN) -> int:
  """Batches that a round takes: all players see the same."""
  del method
  return 1


def init(method: CycleGAN, key: jax.Array) -> TrainState:
  """The state before the first round."""
  networks = tricks.init(method, modules(method), key)
  ema, extra = image_to_image.start(networks, GENERATORS)
  for domain, shape in ('a', method.shape_a), ('b', method.shape_b):
    extra |= tricks.create_pool(method, shape, f'replay_{domain}')
  return TrainState(jnp.zeros((), jnp.int32), networks, ema, extra)


def _domains(batch):
  return {'a': batch['source'], 'b': batch['image']}


def train_step(method: CycleGAN, state: TrainState, batch, key):
  """One round, both discriminators, then both generators, and its metrics.

  Args:
    method: the parts that never change.
    state: the state before the round.
    batch: 'source' [B, *shape_a] and 'image' [B, *shape_b] in [-1, 1].
    key: the key of the run.
  """
  key = jax.random.fold_in(key, state.step)
  metrics = {}
  for way in WAYS:
    state, found = discriminator_step(method, state, way, batch, key)
    metrics |= found
  state, found = generators_step(method, state, batch, key)
  return state.replace(step=state.step + 1), metrics | found


def _keys(key, way: str) -> dict[str, jax.Array]:
  """The key 'there' is shared, so that both players see the same fakes."""
  names = ('there', 'back', 'same', 'replay', 'real', 'fake', 'update')
  key = jax.random.fold_in(key, WAYS.index(way))
  return noise.keys(key, *names, 'ask_real', 'ask_fake')


def _params(state: TrainState):
  return {name: state.networks[name].params for name in GENERATORS}


def _run(method: CycleGAN, state, params, way, x, key, train=True):
  """What the generator of a way makes of images, and its collections."""
  name = f'generator_{way}'
  module, stats = getattr(method, name), state.networks[name].stats
  return state_lib.apply(module, params[name], stats, x, train=train, key=key)


def discriminator_step(method: CycleGAN, state, way: str, batch, key):
  """Updates the discriminator at the end of a way alone; key: of the round."""
  images, keys = _domains(batch), _keys(key, way)
  params, start, train = _params(state), images[way[0]], method.fakes == 'batch'
  fake, _ = _run(method, state, params, way, start, keys['there'], train)
  fake, state = discriminator_lib.recall(
    method, state, fake, keys['replay'], f'replay_{way[1]}', image_pool.swap
  )
  shown = {
    kind: (discriminator_lib.show(method, state, x, keys[kind]),)
    for kind, x in {'real': images[way[1]], 'fake': fake}.items()
  }
  player = state_lib.player(method, f'discriminator_{way[1]}')
  return discriminator_lib.update(method, state, player, shown, keys['update'])


def _distance(a, b):
  return jnp.mean(jnp.abs(a - b))


def generators_step(method: CycleGAN, state: TrainState, batch, key):
  """Updates both generators by one gradient, and their averages.

  Zhu et al. 2017, equation 3, with the identity term of section 5.2. Metrics of
  each generator: 'loss', what the discriminator says of its images; 'cycle',
  the error of images that it sent off and that came back; 'identity', how much
  it changes images that are where it leads to.
  """
  images = _domains(batch)

  def judge(way, kind, x, keys):
    show_key, ask_key = jax.random.split(keys[f'ask_{kind}'])
    shown = discriminator_lib.show(method, state, x, show_key)
    player = state_lib.player(method, f'discriminator_{way[1]}')
    return discriminator_lib.ask(state, player, (shown,), ask_key)

  def loss_fn(params):
    metrics, stats, total = {}, {}, 0.0
    for way in WAYS:
      keys = _keys(key, way)
      start, end = (images[domain] for domain in way)
      fake, after = _run(method, state, params, way, start, keys['there'])
      # Compiled, logits that a loss does not look at are not computed.
      said = judge(way, 'real', end, keys), judge(way, 'fake', fake, keys)
      found = {'loss': discriminator_lib.generator_loss(method, state, *said)}
      total += method.adversarial * found['loss']
      if switches.is_on(method.cycle):
        back, _ = _run(method, state, params, way[::-1], fake, keys['back'])
        found['cycle'] = _distance(back, start)
        total += method.cycle * found['cycle']
      if switches.is_on(method.identity):
        same, _ = _run(method, state, params, way, end, keys['same'])
        found['identity'] = _distance(same, end)
        total += method.identity * found['identity']
      metrics[f'generator_{way}'], stats[f'generator_{way}'] = found, after
    return total, (stats, metrics)

  grads, (stats, metrics) = jax.grad(loss_fn, has_aux=True)(_params(state))
  grads, metrics = state_lib.mean((grads, metrics), method.axis_name)
  found = {}
  for name in GENERATORS:
    optimizer = state_lib.player(method, name).optimizer
    state, moved = state_lib.move(
      state, name, optimizer, grads[name], stats[name], metrics[name]
    )
    found |= moved
  local = len(batch['image'])
  return image_to_image.follow(method, state, GENERATORS, local), found


def served(method: CycleGAN, state: TrainState):
  """Images of a to images of b, and back; see `jaxgan.steps`."""
  shapes = dict(zip(GENERATORS, (method.shape_a, method.shape_b), strict=True))
  return {
    name: image_to_image.served(method, state, name, shape)
    for name, shape in shapes.items()
  }


def sample(method: CycleGAN, state: TrainState, key, num: int):
  """Raises: there is nothing to translate."""
  raise errors.UserError(
    "method='cyclegan' translates images and draws none from noise; its "
    'pictures of held-out images are in the samples of the run'
  )


def _there_and_back(method: CycleGAN, state: TrainState, way: str, batch, key):
  """Images where a way starts, their translations, and what comes back."""
  keys, start = jax.random.split(key), _domains(batch)[way[0]]
  names = f'generator_{way}', f'generator_{way[::-1]}'
  there = image_to_image.translate(method, state, names[0], start, keys[0])
  back = image_to_image.translate(method, state, names[1], there, keys[1])
  return start, there, back


def preview(method: CycleGAN, state: TrainState, batch, key):
  """Images, their translations, and what comes back, a row of each.

  Returns:
    'a_b_a' and 'b_a_b' [3, N, H, W, C] of a batch as in `train_step`.
  """
  ab, ba = (
    image_to_image.rows(*_there_and_back(method, state, way, batch, key))
    for way in WAYS
  )
  return {'a_b_a': ab, 'b_a_b': ba}


def evaluate(method: CycleGAN, state: TrainState, batch):
  """How well held-out images come back; no pair says what is right.

  Returns:
    'held_out_cycle', their mean absolute error on the scale of [-1, 1], of each
    generator that sent them off. The batch is as in `train_step`.
  """

  def score(key, **pair):
    pair = {name: x[None] for name, x in pair.items()}
    found = {}
    for way in WAYS:
      start, _, back = _there_and_back(method, state, way, pair, key)
      found[f'generator_{way}/held_out_cycle'] = _distance(back, start)
    return found

  return image_to_image.mean_of_each(score, batch)
