"""jaxgan: generative adversarial networks as pure functions in JAX.

The parts, in the order in which data flow: `jaxgan.data` yields batches,
`jaxgan.models` holds Flax networks, `jaxgan.losses` and `jaxgan.penalties` are
tables of functions of logits, `jaxgan.discriminate` is the discriminator's side
of every game, `jaxgan.steps` holds one file per training algorithm. All of
these are pure and run under `jit`, `pmap`, `vmap` and `scan`.
`jaxgan.train` is the loop around them and the only part that has side effects.
"""

__version__ = '0.1.0'
