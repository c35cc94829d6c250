"""Unusual values, and the fields that accept them.

`tests/config/accepted_values_test.py` tries each of `VALUES` in every config
field. It is refused, or has a row here that says why it is accepted.
"""

import fnmatch
import math
from typing import NamedTuple

BILLION, TRILLION, PAIR = 10**9, 10**12, (1, 2)
VALUES = {
  'zero': 0,
  'negative': -1,
  'one': 1,
  'billion': BILLION,
  'trillion': TRILLION,
  'nan': math.nan,
  'infinity': math.inf,
  'empty': '',
  'text': 'text',
  'tuple': PAIR,
  'none': None,
  'group': {},
}


class Row(NamedTuple):
  """Values that some fields accept, or that only a run refuses.

  Attributes:
    fields: patterns of dotted names, separated by blanks; 'METHOD:NAME' for the
      fields of one method.
    values: the values.
    reason: why they are accepted, or why a run refuses them.
    overflow: further accepted values. Runs with these may end because a number
      is not finite, with exit code 3.
    alone: True if each value needs a run of its own.
  """

  fields: str
  values: tuple
  reason: str
  overflow: tuple = ()
  alone: bool = False

  def has(self, method: str, name: str) -> bool:
    """Returns True for the fields of this row."""
    names = (name, f'{method}:{name}')
    return any(
      fnmatch.fnmatchcase(n, pattern)
      for pattern in self.fields.split()
      for n in names
    )


_WEIGHTS = (
  'adversarial auxiliary feature_matching penalties.* reconstruction.weight '
  'class_weight cycle identity beta lecam consistency.real consistency.fake '
  'path_length logit_centring *.optimizer.weight_decay'
)
ACCEPTED = (
  # The loop.
  Row(
    'checkpoint_every eval_every sample_every keep_period',
    (0, 1, BILLION),
    '0 is never, and the last round is always due',
  ),
  Row('log_every keep', (1, BILLION), 'more than there will be is all'),
  Row(
    'num_steps',
    (0, 1, BILLION),
    '0 saves the first weights; a billion is cut after two rounds',
    alone=True,
  ),
  Row('eval_images', (0,), '0 is off'),
  Row('palette', (0, 1), '0 is all colours; one colour is a palette'),
  Row('profile_steps', (PAIR,), 'a first and a last round'),
  Row('seeds steps_per_call', (1,), 'the smallest number'),
  Row('members_at_once', (0, 1), '0 is all; a single run is one member'),
  Row('seed data.labelled_seed', (0, 1, BILLION), 'seeds have 32 bits'),
  Row('sweep schedules init_from ada.pipe', ('',), 'the empty text is off'),
  # Data.
  Row('data.held_out_seed', (0, -1, 1, BILLION), '-1 is the rule of format 1'),
  Row(
    'data.data_dir data.manual_dir data.path data.version data.feature',
    ('', 'text'),
    'read by other sources than toy data, which refuse names of nothing',
  ),
  Row('data.channels', (0, 1), '0 keeps the channels; 1 is grey'),
  Row('data.image_size', (0, 1), '0 keeps the size', alone=True),
  Row('data.held_out', (0,), '0 is off'),
  Row('data.limit', (0, BILLION, TRILLION), '0 and more than there are: all'),
  Row('data.max_pixels', (BILLION, TRILLION), 'only a limit'),
  Row(
    'data.resident_bytes',
    (0, 1, BILLION, TRILLION),
    'only a limit; 0 streams all data',
  ),
  Row('data.range', (PAIR,), 'black and white'),
  # Methods.
  Row(
    _WEIGHTS,
    (0, 1),
    'weights of losses, of which 0 is off',
    overflow=(BILLION,),
  ),
  Row(
    'reconstruction',
    (0, 1),
    'a weight; one of the two losses is needed',
    overflow=(BILLION,),
    alone=True,
  ),
  Row('labelled', (0,), '0 is off'),
  Row(
    'instance_noise corruption discriminator.*_noise',
    (0, 1),
    'deviations, of which 0 is off',
    overflow=(BILLION,),
  ),
  Row('decoder_deviation', (1, BILLION), 'a deviation'),
  Row(
    'ema_halflife ema_rampup instance_noise_images top_k_images',
    (0, 1, BILLION),
    'numbers of images or shares of them; 0 is off',
  ),
  Row(
    'label_flip label_noise replay_share top_k ada.p',
    (0, 1),
    'shares; one fake is always chosen',
  ),
  Row('label_smoothing label_smoothing.* ada.target', (0,), '0 is off'),
  Row('ada.images', (1, BILLION), 'any number of images'),
  Row('latent_size mask.size', (1,), 'the smallest size'),
  Row(
    'discriminator_steps pack ada.interval accumulate',
    (1,),
    'the smallest number',
  ),
  Row('gan:replay_size', (0,), '0 is off'),
  Row('cyclegan:replay_size', (0, 1), '0 is off'),
  Row('noise_channels', (0, 1), '0 is off'),
  Row('mask.value', (0, -1, 1), 'values of pixels', overflow=(BILLION,)),
  Row('held_out_samples importance_samples', (0, 1), '0 is off'),
  # Networks.
  Row(
    '*.kernel *.code_size *.features *.bottleneck generator.hidden',
    (1,),
    'the smallest size',
  ),
  Row('discriminator.hidden', (0, 1), '0 is off'),
  Row('*.minibatch_kernels *.virtual_batch', (0, 1), '0 is off'),
  Row('*.blocks', (0, 1), 'a ResNet without blocks is a convolution'),
  Row(
    '*.momentum *.dropout lecam_decay', (0,), 'the last batch alone; 0 is off'
  ),
  Row('*.epsilon', (1, BILLION), 'flat norms'),
  Row('*.slope', (0, -1, 1), 'slopes of any sign', overflow=(BILLION,)),
  Row('*.widths *.decoder_widths', (PAIR,), 'sizes of two layers'),
  Row('generator.strides', (PAIR,), 'strides of two layers'),
  Row('*.first_initializer', ('',), 'as the other layers'),
  Row('*.attention', (PAIR,), 'after the first two blocks'),
  Row('generator.embedding', (0, 1), '0 is one for each norm'),
  Row('discriminator.embedding *.expansion', (1,), 'the smallest size'),
  # StyleGAN2.
  Row('path_length_every penalties_every', (1,), 'added to the loss'),
  Row('penalties_stride', (1,), 'all examples'),
  Row('penalties_difference', (0, 1, BILLION), '0 is exact; any step'),
  Row('gradient_average scale_alignment', (0,), '0 is off'),
  # Transformers.
  Row(
    'discriminator.depth *.heads *.patch',
    (1,),
    'the smallest number',
  ),
  Row('*.mapping_layers generator.style_size', (1,), 'the smallest size'),
  Row('*.clamp discriminator.group', (0,), '0 is off'),
  Row('*.clamp', (1, BILLION), 'a limit'),
  Row('generator.mixing generator.decay', (0, 1), 'a probability; a share'),
  Row('generator.truncation', (0, 1, BILLION), '0 is the mean of w'),
  Row('*.multiplier', (1,), 'any factor', overflow=(BILLION,)),
  Row('gan:*.blocks', (PAIR,), 'two stages of R3GAN2'),
  Row('*.group_width', (1,), 'groups of single channels'),
  # Optimizers.
  Row('*.optimizer.learning_rate', (1,), 'any rate', overflow=(BILLION,)),
  Row('*.optimizer.b?', (0,), '0 has no memory'),
  Row(
    '*.optimizer.eps',
    (1, BILLION),
    'Adam divides by 0 where a gradient is zero; plain descent ignores it',
    overflow=(0,),
  ),
  Row(
    '*.optimizer.clip_weights *.optimizer.clip_gradient',
    (0, 1, BILLION),
    '0 is off',
  ),
  Row('*.optimizer.base_width', (0,), '0 is off'),
  Row(
    '*.optimizer.historical_averaging', (0, 1), '0 is off', overflow=(BILLION,)
  ),
  Row(
    '*.optimizer.warmup_images *.optimizer.schedule_images',
    (0, 1, BILLION, TRILLION),
    'numbers of images; 0 is off',
  ),
)
# Accepted by validation, and refused by runs with these data and fields.
REFUSED_BY_RUNS = (
  Row('batch_size', (1, BILLION), 'batch norm of one image; memory'),
  Row(
    'method data.name data.pair data.unpaired',
    ('', 'text'),
    'names of files and data are known where they are read',
  ),
  Row('init_from sweep schedules', ('text',), 'no folder; no field'),
  Row('data.classes', (PAIR,), 'no classes of these data'),
  Row('data.limit', (1,), 'a single image'),
  Row('data.labelled', (1, BILLION, TRILLION), 'no multiple of the classes'),
  Row('labelled', (1, BILLION), 'a discriminator without a head for classes'),
  Row('path_length', (1, BILLION), 'a generator without styles'),
  Row('*.optimizer.base_width', (1,), 'a network without a width'),
  Row('scale_alignment', (1, BILLION), 'a generator of single images'),
  Row('generator.depth', (1,), 'no multiple of the outputs'),
  Row('generator.outputs', (1,), 'CAT compares images of several depths'),
  Row('gan:replay_size', (1,), 'earlier fakes of a conditional run'),
  Row(
    'autoencoder:*.schedule_images classifier:*.schedule_images '
    'cyclegan:*.schedule_images vae:*.schedule_images',
    (0,),
    'a schedule without a length',
  ),
  Row('gan:*.cardinality', (PAIR,), 'one entry for each width'),
  Row(
    'discriminator.slopes discriminator.strides inpaint:discriminator.widths',
    (PAIR,),
    'one slope and one stride for each width',
  ),
)
