"""Fields that experiments have in common, by algorithm and by network.

A file in `configs/` puts these together with `config.update(...)` and changes
what is its own.
"""

import ml_collections

from jaxgan.adversarial import penalties


def penalty_weights() -> ml_collections.ConfigDict:
  """All penalties at weight zero, so that each is a field to set."""
  return ml_collections.ConfigDict(dict.fromkeys(penalties.PENALTIES, 0.0))


def game() -> ml_collections.ConfigDict:
  """The fields of `steps/gan.py`, every trick off.

  Networks ('generator', 'discriminator') come from `mlp`, `dcgan` or the
  experiment.
  """
  config = ml_collections.ConfigDict()
  config.method = 'gan'
  config.latent_size = 100
  config.latent = 'normal'  # a key of noise.LATENTS
  config.latent_reuse = False  # G's update takes the latents of D's last
  config.conditional = False  # both networks take the label
  config.loss = 'non_saturating'  # a key of losses.PAIRS
  config.penalties = penalty_weights()
  config.discriminator_steps = 1
  config.discriminator_batches = 'separate'  # or joint, or apart
  config.real_reuse = False  # all updates of D in a round see the same reals
  config.fakes = 'batch'  # statistics of D's fakes: batch or running
  config.label_smoothing = dict(real=0.0, fake=0.0)
  config.label_noise = 0.0  # largest random share taken from D's labels
  config.label_flip = 0.0  # probability of a swapped label of D
  config.adversarial = 1.0  # weights of the generator's losses
  config.feature_matching = 0.0
  config.auxiliary = 0.0  # classification, of both
  config.labelled = 0.0  # weight of D's classification of labelled images
  config.augment = ()  # keys of augment.AUGMENTATIONS
  config.instance_noise = 0.0  # deviation of noise on what D sees
  config.instance_noise_images = 0  # gone after so many images; 0: never
  config.pack = 1  # examples that D sees as one
  config.top_k = 1.0  # share of fakes that G learns from, in the end
  config.top_k_images = 0  # reached after so many images
  config.replay_size = 0  # earlier fakes that are kept
  config.replay_share = 0.5  # of D's fakes that are earlier ones
  config.ema_halflife = 0.0  # images; 0 is no average
  config.ema_rampup = 0.05  # of the images seen
  return config


def inpainting() -> ml_collections.ConfigDict:
  """The fields of `steps/inpaint.py`: an adversarial loss and nothing else.

  Networks ('generator', 'discriminator') are the experiment's own.
  """
  config = ml_collections.ConfigDict()
  config.method = 'inpaint'
  config.mask = dict(
    size=8,  # side of the hole
    value=0.0,  # what the generator sees in it; 0 is mid-grey
    channel=False,  # the generator sees where it is
  )
  config.noise_channels = 0  # Gaussian channels beside the image; 0 is off
  config.output = 'image'  # what the generator makes: image or patch
  config.compositing = False  # known pixels are pasted around what it made
  config.discriminator_batches = 'separate'  # or apart: an update on each kind
  config.fakes = 'batch'  # statistics of the discriminator's fakes, or running
  config.loss = 'non_saturating'  # a key of losses.PAIRS
  config.adversarial = 1.0  # weight in the generator's loss
  config.reconstruction = dict(
    weight=0.0,  # in the generator's loss
    distance='l1',  # or mse
    region='hole',  # what counts: hole or all
  )
  config.class_weight = 0.0  # of the head of classes and 'fake'; 0 is no head
  config.label_smoothing = dict(real=0.0, fake=0.0, generator=False)
  config.penalties = penalty_weights()
  config.ema_halflife = 0.0  # images; 0 is no average
  config.ema_rampup = 0.05  # of the images seen
  return config


# Weight of R1 for each pixel of a photograph, see `r1_weight`.
R1_PER_PIXEL = 1e-5


def r1_weight(side: int) -> float:
  """Returns the weight of R1 for square photographs of a side in pixels.

  Two images of n pixels lie about sqrt(n) apart, so a discriminator that tells
  them apart by a given difference of logits has a squared slope of order 1 / n.
  A weight in proportion to n leaves the same freedom at every size. Karras et
  al. 2020 (https://arxiv.org/abs/2006.06676, appendix C) choose 1e-4 n / batch
  in the units of this weight, 3e-6 n for batches of 32. Much larger weights end
  in a discriminator that gives all images the same logit (docs/results.md).
  """
  return R1_PER_PIXEL * side**2


def optimizer(**changed) -> ml_collections.ConfigDict:
  """The fields of an optimizer; Adam as GANs are trained since DCGAN."""
  fields = dict(
    name='adam',  # a key of optim.OPTIMIZERS
    learning_rate=2e-4,
    b1=0.5,  # momentum
    b2=0.999,  # decay of the mean square
    eps=1e-8,
    schedule='constant',  # a key of optim.SCHEDULES
    schedule_images=0,
    warmup_images=0,
    clip_weights=0.0,
    historical_averaging=0.0,
  )
  return ml_collections.ConfigDict(fields | changed)


def _translation() -> ml_collections.ConfigDict:
  """What `pix2pix` and `cyclegan` have in common."""
  config = ml_collections.ConfigDict()
  config.discriminator_batches = 'separate'  # or joint, or apart
  config.fakes = 'batch'  # statistics of the discriminator's fakes, or running
  config.label_smoothing = dict(real=0.0, fake=0.0)
  config.penalties = penalty_weights()
  config.ema_halflife = 0.0  # images; 0 is no average
  config.ema_rampup = 0.05  # of the images seen
  config.generator = dict(norm='instance', momentum=0.9, optimizer=optimizer())
  config.discriminator = dict(
    name='translate.PatchDiscriminator',
    widths=(64, 128, 256, 512),
    kernel=4,
    slope=0.2,
    norm='instance',
    momentum=0.9,
    spectral_norm=False,
    optimizer=optimizer(),
  )
  return config


def pix2pix() -> ml_collections.ConfigDict:
  """The fields of `steps/pix2pix.py`, with the paper's weights and networks.

  These are for 256 x 256 pixels, and patches of 70 x 70.
  """
  config = _translation()
  config.method = 'pix2pix'
  config.data = dict(
    pair='edges',  # what a source is, see data/pairs.py
    feature='',  # picture of a TFDS set that is the image; '' is its 'image'
  )
  config.loss = 'non_saturating'  # a key of losses.PAIRS
  config.conditional = True  # the discriminator sees the source
  config.adversarial = 1.0  # weights of the generator's losses
  config.reconstruction = 100.0
  config.generator.update(
    name='translate.UNet',
    widths=(64, 128, 256, 512, 512, 512, 512, 512),
    skips=True,
    dropout=0.5,
  )
  return config


def cyclegan() -> ml_collections.ConfigDict:
  """The fields of `steps/cyclegan.py`, with the paper's weights and networks.

  These are for 256 x 256 pixels, and patches of 70 x 70. Both generators are
  made like the one, both discriminators like the other.
  """
  config = _translation()
  config.method = 'cyclegan'
  config.data = dict(
    unpaired='classes',  # what the two domains are, see data/pairs.py
  )
  config.loss = 'least_squares'  # a key of losses.PAIRS
  config.adversarial = 2.0  # 1 in the paper, whose squares are not halved
  config.cycle = 10.0
  config.identity = 5.0  # 0 is off
  config.replay_size = 50  # earlier fakes of each domain that are kept
  config.replay_share = 0.5  # of the discriminators' fakes that are such
  config.generator.update(
    name='translate.ResNet', widths=(64, 128, 256), blocks=9
  )
  return config


def mlp() -> ml_collections.ConfigDict:
  """Fully connected networks for `game`: 128-256-512 units in each."""
  config = ml_collections.ConfigDict()
  config.generator = dict(
    name='mlp.Generator',
    widths=(128, 256, 512),
    slope=0.2,
    norm='batch',
    initializer='lecun',  # a key of layers.INITIALIZERS
    first_initializer='',  # of the first layer, if another
    virtual_batch=0,  # size of a reference batch; 0 is off
    spectral_norm=False,
    optimizer=optimizer(),
  )
  config.discriminator = dict(
    name='mlp.Discriminator',
    widths=(128, 256, 512),
    slope=0.2,
    dropout=0.0,
    minibatch_kernels=0,
    initializer='lecun',
    first_initializer='',
    spectral_norm=False,
    optimizer=optimizer(),
  )
  return config


def dcgan() -> ml_collections.ConfigDict:
  """Convolutional networks for `game`, with two strides: 28 x 28 pixels.

  Kernels of 4 fit strides of 2, and the discriminator has no norm, as R1 and
  the gradient penalty ask of it.
  """
  config = ml_collections.ConfigDict()
  config.generator = dict(
    name='dcgan.Generator',
    widths=(128, 64),
    strides=(2, 2),
    kernel=4,
    slope=0.2,
    upsampling='transposed',  # or resize
    norm='batch',
    flat_norm=False,
    momentum=0.9,
    initializer='lecun',  # a key of layers.INITIALIZERS
    virtual_batch=0,
    spectral_norm=False,
    optimizer=optimizer(),
  )
  config.discriminator = dict(
    name='dcgan.Discriminator',
    widths=(64, 128),
    kernel=4,
    slope=0.2,
    norm='none',
    dropout=0.0,
    minibatch_stddev=False,
    minibatch_kernels=0,
    initializer='lecun',
    spectral_norm=False,
    optimizer=optimizer(),
  )
  return config


def quick(config, batch_size: int = 32, learning_rate: float = 2e-3) -> None:
  """Halves the channels of convolutional networks, and takes large steps.

  Half the channels are a quarter of the arithmetic, and a decay of 0.99 lets
  Adam take large steps (Karras et al. 2018, https://arxiv.org/abs/1710.10196,
  appendix A.1).
  """
  config.batch_size = batch_size
  for player in ('generator', 'discriminator'):
    network = config[player]
    network.widths = tuple(width // 2 for width in network.widths)
    network.optimizer.update(learning_rate=learning_rate, b2=0.99)


def classifier() -> ml_collections.ConfigDict:
  """The fields of `steps/classifier.py`, with a network for small images."""
  config = ml_collections.ConfigDict()
  config.method = 'classifier'
  config.num_steps = 2_400
  config.batch_size = 64
  config.network = dict(
    name='classifier.ConvNet',
    widths=(16, 32),
    kernel=5,
    features=128,
    dropout=0.3,
    momentum=0.9,
    optimizer=optimizer(
      learning_rate=2e-3,
      b1=0.9,
      schedule='cosine',
      schedule_images=config.num_steps * config.batch_size,
    ),
  )
  config.augment = ()  # keys of augment.AUGMENTATIONS
  config.label_smoothing = 0.0
  config.ema_halflife = 10_000.0  # images; 0 is no average
  config.ema_rampup = 0.05  # of the images seen
  return config


def keras_layers(config) -> None:
  """Layers of `dcgan` as the Keras tutorials have them."""
  config.generator.update(kernel=5, slope=0.3, flat_norm=True, momentum=0.99)
  config.discriminator.update(kernel=5, slope=0.3, dropout=0.3)


def as_tutorial(config) -> None:
  """What the Keras tutorials have in common and modern recipes do not.

  Labels of reals are 0.9; the discriminator takes one optimizer step on reals
  and one on fakes, which come from running statistics; no order is drawn for an
  epoch; initial kernels and Adam's eps are Keras', and the first kernel of a
  fully connected network is that of the notebooks. Not copied: the two players
  share one counter of Adam steps there, and both draw labels of their own.
  """
  config.label_smoothing.real = 0.1
  config.discriminator_batches = 'apart'
  config.fakes = 'running'
  config.data.shuffle = False
  for player in ('generator', 'discriminator'):
    config[player].optimizer.eps = 1e-7
    config[player].initializer = 'glorot'
    if 'first_initializer' in config[player]:
      config[player].first_initializer = 'normal'
