"""Config fields of the algorithms in `jaxgan.steps`, see `config.fields`.

Networks are groups with the fields of `networks.NETWORK`, of their module in
`jaxgan.models` and of their optimizer. Their ranges stand in those modules.
"""

from jaxgan.adversarial import (
  ada,
  augment,
  completion,
  losses,
  penalties,
  tricks,
)
from jaxgan.adversarial import discriminator as discriminator_lib
from jaxgan.config.fields import MOST_SIDE, field
from jaxgan.core import noise
from jaxgan.core.ranges import MOST_UNITS
from jaxgan.metrics import likelihood

MOST_IMAGES = 2**31 - 1  # Counts of images are integers of 32 bits.
MOST_STORED = 2**20  # images in a pool

AVERAGES = dict(
  ema_halflife=field(0.0, 0),  # images; 0 turns averages off
  ema_rampup=field(0.05, 0),  # as a share of the images seen
  ema_counts_round=field(False),  # see core/ema.py
)
MOST_WIDTH = 0.28  # of power averages
# All penalties have weight zero, so each penalty is a field to set.
PENALTIES = {name: field(0.0, 0) for name in penalties.PENALTIES}


def adversarial_fields(loss: str, labels: dict) -> dict:
  """Returns fields of all games against a discriminator.

  Tables of files in `jaxgan.steps` contain these fields too.

  Args:
    loss: default of the losses.
    labels: further fields of the group 'label_smoothing'.
  """
  return dict(
    loss=field(loss, one_of=losses.PAIRS),
    # separate, joint, or apart: one update for each kind of images.
    discriminator_batches=field('separate', one_of=discriminator_lib.UPDATES),
    # Statistics of fakes that the discriminator sees: of the batch, or running.
    fakes=field('batch', one_of=tricks.FAKES),
    label_smoothing=dict(
      real=field(0.0, 0, below=0.5), fake=field(0.0, 0, below=0.5), **labels
    ),
    penalties=PENALTIES,
    # Parts of a batch, one after the other, whose gradients are averaged.
    accumulate=field(1, 1, 2**16),
    **AVERAGES,
  )


def _replay(size: int) -> dict:
  return dict(
    replay_size=field(size, 0, MOST_STORED),  # number of earlier fakes to keep
    replay_share=field(0.5, 0, 1),  # share of earlier fakes among D's fakes
  )


GAME = dict(
  method=field('gan'),
  latent_size=field(100, 1, MOST_UNITS),
  latent=field('normal', one_of=noise.LATENTS),
  latent_reuse=field(False),  # G's update takes the latents of D's last update
  conditional=field(False),  # both networks take the label
  **adversarial_fields('non_saturating', {}),
  # Widths of power averages instead of a half-life, as (0.05, 0.01, 0.1). The
  # first one is that of samples.
  ema_widths=field(
    (),
    items=float,
    rule=lambda widths: all(0 < width <= MOST_WIDTH for width in widths),
    message=f'must have widths in (0, {MOST_WIDTH}]',
  ),
  running_statistics=field(False),  # of samples; False: those of EMA weights
  discriminator_steps=field(1, 1, 1_000),
  real_reuse=field(False),  # all updates of D in a round see the same reals
  label_noise=field(0.0, 0, 1),  # largest random share taken from D's labels
  label_flip=field(0.0, 0, 1),  # probability of a swapped label of D
  adversarial=field(1.0, 0),  # weight in the generator's loss
  # Decay of the average norm of the gradient at the generator's output, which
  # the gradient is divided by, as 0.9; 0 is off.
  gradient_average=field(0.0, 0, below=1),
  feature_matching=field(0.0, 0),  # weight in the generator's loss
  auxiliary=field(0.0, 0),  # weight of classification in both losses
  path_length=field(0.0, 0),  # weight in the loss of a generator with styles
  scale_alignment=field(0.0, 0),  # weight in the loss of a G of several images
  # Rounds between gradient steps of the term alone; 1 adds it to the loss.
  path_length_every=field(1, 1, 1_000),
  penalties_every=field(1, 1, 1_000),  # the same of all penalties
  # Step of finite differences for R1 and R2, as 0.01; 0 is the exact slope.
  penalties_difference=field(0.0, 0),
  penalties_stride=field(1, 1, 1_024),  # every k-th example has a penalty
  logit_centring=field(0.0, 0),  # weight in the discriminator's loss
  labelled=field(0.0, 0),  # weight of D's classification of labelled images
  augment=field((), items=str, one_of=augment.AUGMENTATIONS),
  augment_as_authors=field(True),  # False: see augment.EARLIER
  ada=dict(
    pipe=field('', one_of=('', *ada.PIPES)),  # '' is off
    # Mean sign of D(x) of reals that an adaptive p keeps; 0: p is fixed.
    target=field(0.6, 0, below=1),
    p=field(0.0, 0, 1),  # probability of every change, with target=0
    images=field(500_000.0, above=0),  # reals until p has moved by one
    interval=field(4, 1, 1_000),  # updates of D between two moves of p
  ),
  flip_reals=field(False),  # mirrors half of the reals, and no fakes
  lecam=field(0.0, 0),  # weight in the discriminator's loss
  lecam_decay=field(0.99, 0, below=1),  # of the averages, per update
  consistency=dict(
    real=field(0.0, 0),  # weights in the discriminator's loss
    fake=field(0.0, 0),
    # Changes of an image that shall not change D(x).
    changes=field(
      ('flip', 'translation'), items=str, one_of=augment.AUGMENTATIONS
    ),
  ),
  frozen_layers=field((), items=str),  # of D, which keep their weights
  instance_noise=field(0.0, 0),  # deviation of noise on images that D sees
  # Images after which that noise is gone; 0: never.
  instance_noise_images=field(0, 0, MOST_IMAGES),
  pack=field(1, 1, 1_024),  # examples that D sees as one
  top_k=field(1.0, 0, 1),  # share of fakes that G learns from, in the end
  top_k_images=field(0, 0, MOST_IMAGES),  # images until then
  **_replay(0),
)

INPAINTING = dict(
  method=field('inpaint'),
  mask=dict(
    size=field(8, 1, MOST_SIDE),  # side of the hole
    value=field(0.0),  # of pixels in the generator's hole; 0 is mid-grey
    channel=field(False),  # the generator sees the position of the hole
  ),
  noise_channels=field(0, 0, 1_024),  # Gaussian channels beside the image
  output=field('image', one_of=completion.OUTPUTS),
  compositing=field(False),  # known pixels are pasted around the output
  **adversarial_fields('non_saturating', dict(generator=field(False))),
  adversarial=field(1.0, 0),  # weight in the generator's loss
  reconstruction=dict(
    weight=field(0.0, 0),  # in the generator's loss
    distance=field('l1', one_of=completion.DISTANCES),
    region=field('hole', one_of=completion.REGIONS),  # pixels that count
  ),
  # Weight of the head for classes and 'fake'; 0 removes the head.
  class_weight=field(0.0, 0),
)

PIX2PIX = dict(
  method=field('pix2pix'),
  data=dict(
    pair=field('edges'),  # kind of sources, see data/pairs.py
    feature=field(''),  # image of a TFDS set; '' is the feature 'image'
  ),
  **adversarial_fields('non_saturating', {}),
  conditional=field(True),  # the discriminator sees the source
  adversarial=field(1.0, 0),  # weights in the generator's loss
  reconstruction=field(100.0, 0),
)

CYCLEGAN = dict(
  method=field('cyclegan'),
  data=dict(
    unpaired=field('classes'),  # kind of the two domains, see data/pairs.py
  ),
  **adversarial_fields('least_squares', {}),
  adversarial=field(2.0, 0),  # 1 in the paper, whose squares are not halved
  cycle=field(10.0, 0),
  identity=field(5.0, 0),  # 0 is off
  **_replay(50),  # earlier fakes of each domain
)

# A further field of CycleGAN, which its own configs lack.
DISCOGAN = dict(
  method=field('cyclegan'),
  cycle_distance=field('mse', one_of=completion.DISTANCES),  # of pixels
)

AUTOENCODER = dict(
  method=field('autoencoder'),
  corruption=field(0.0, 0),  # deviation of the noise on pixels in [0, 1]
  **AVERAGES,
)

VAE = dict(
  method=field('vae'),
  latent_size=field(20, 1, MOST_UNITS),
  conditional=field(False),  # both networks take the label
  corruption=field(0.0, 0),  # deviation of the noise on the encoder's pixels
  likelihood=field('bernoulli', one_of=likelihood.LIKELIHOODS),
  binarised=field(False),  # pixels are drawn as 0 or 1, by their grey value
  # Of pixels in [0, 1], for likelihood='gaussian'.
  decoder_deviation=field(0.1, above=0),
  beta=field(1.0, 0),  # weight of the divergence
  importance_samples=field(0, 0, 10_000),  # of the bound; 0 is the ELBO
  # Of the bound on held-out images; 0 is off.
  held_out_samples=field(50, 0, 10_000),
  **AVERAGES,
)

CLASSIFIER = dict(
  method=field('classifier'),
  augment=field((), items=str, one_of=augment.AUGMENTATIONS),
  augment_as_authors=field(True),
  label_smoothing=field(0.0, 0, below=1),
  **(AVERAGES | {'ema_halflife': field(10_000.0, 0)}),
)

# Fields of a data set whose labels are known in part.
FEW_LABELS = dict(
  data=dict(
    labelled=field(100, 1),  # number of examples whose labels are known
    labelled_seed=field(0, 0, 2**32 - 1),  # seed of the choice of examples
  )
)

TABLES = (
  *(
    GAME,
    INPAINTING,
    PIX2PIX,
    CYCLEGAN,
    DISCOGAN,
    AUTOENCODER,
    VAE,
    CLASSIFIER,
  ),
  FEW_LABELS,
)
