"""Three losses of the fully connected GAN, with and without R1."""

import itertools


def runs():
  losses = ('non_saturating', 'least_squares', 'hinge')
  for loss, r1 in itertools.product(losses, (0.0, 1.0)):
    yield {'loss': loss, 'penalties.r1': r1}
