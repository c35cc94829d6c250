"""Config fields of the tricks that `benchmarks/tricks.py` compares."""

ALL = ('color', 'translation', 'cutout')

# name -> fields that differ from the base
TRICKS = {
  'none': {},
  'without R1': {'penalties.r1': 0.0},
  'without average': {'ema_halflife': 0.0},
  'R2 as well': {'penalties.r2': 1.0},
  'gradient penalty': {'penalties.r1': 0.0, 'penalties.gradient_penalty': 1.0},
  'DRAGAN': {'penalties.r1': 0.0, 'penalties.dragan': 1.0},
  'spectral norm': {'penalties.r1': 0.0, 'discriminator.spectral_norm': True},
  'feature matching': {'adversarial': 0.0, 'feature_matching': 1.0},
  'minibatch discrimination': {'discriminator.minibatch_kernels': 16},
  'historical averaging': {
    'generator.optimizer.historical_averaging': 1e-3,
    'discriminator.optimizer.historical_averaging': 1e-3,
  },
  'label smoothing': {'label_smoothing.real': 0.1},
  'noisy labels': {'label_noise': 0.3},
  'flipped labels': {'label_flip': 0.05},
  'instance noise': {'instance_noise': 0.1},
  'virtual batch norm': {'generator.virtual_batch': 64},
  'spherical latents': {'latent': 'sphere'},
  'uniform latents': {'latent': 'uniform'},
  'one call for both': {'discriminator_batches': 'joint'},
  'an update each': {'discriminator_batches': 'apart'},
  'running statistics': {'fakes': 'running'},
  'two time scales': {'discriminator.optimizer.learning_rate': 4e-4},
  'experience replay': {'replay_size': 2_048},
  'augmentation': {'augment': ALL},
  'adaptive augmentation': {'ada.pipe': 'bgc'},
  'flips of reals': {'flip_reals': True},
  'consistency': {'consistency.real': 10.0},
  'balanced consistency': {'consistency.real': 10.0, 'consistency.fake': 10.0},
  'LeCam': {'lecam': 0.3},
  'packing': {'pack': 2},
  'top-k': {'top_k': 0.75},
  'minibatch deviation': {'discriminator.minibatch_stddev': True},
  'dropout in G': {'generator.dropout': 0.3},
  'dropout in G, also at test': {
    'generator.dropout': 0.3,
    'generator.dropout_at_test': True,
  },
  'resize and convolve': {
    'generator.upsampling': 'resize',
    'generator.kernel': 3,
  },
}
