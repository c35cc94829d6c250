"""What a line of the console shows."""

import pytest

from jaxgan.training import writers

NORMS = {f'{n}/{k}_norm': 9.0 for n in ('a', 'z') for k in ('grad', 'param')}
LINES = {
  'gan': (
    {
      'discriminator/fake': 1.0,
      'discriminator/loss': 2.0,
      'discriminator/r1': 3.0,
      'discriminator/real': 4.0,
      'discriminator/fake_std': 6.0,
      'generator/fake_variance': 7.0,
      'generator/loss': 5.0,
    },
    'D/loss 2.000  G/loss 5.000  D/real 4.000  D/fake 1.000  D/r1 3.000',
  ),
  'autoencoder': (
    {
      'autoencoder/mse': 1.0,
      'autoencoder/loss': 2.0,
      'autoencoder/held_out_loss': 3.0,
    },
    'autoencoder/loss 2.000  autoencoder/held_out_loss 3.000  '
    'autoencoder/mse 1.000',
  ),
  'vae': (
    {'vae/kl': 1.0, 'vae/loss': 2.0, 'vae/reconstruction': 3.0},
    'vae/loss 2.000  vae/kl 1.000  vae/reconstruction 3.000',
  ),
}


@pytest.mark.parametrize('method', LINES)
def test_console_shows_losses_first(method, capsys):
  metrics, shown = LINES[method]
  console = writers.Console(20, 0)
  console.scalars(10, {'images': 1} | NORMS | metrics | {'steps_per_second': 2})
  expected = f'step 10 of 20  {shown}  2.0 steps/s  0m 05s left\n'
  assert capsys.readouterr().out == expected


def test_console_shows_few_metrics():
  metrics = {f'generator/{k}': 0.0 for k in 'abcdefg'} | {'generator/loss': 1.0}
  found = writers.most_telling(metrics)
  assert list(found)[:2] == ['generator/loss', 'generator/a']
  assert len(found) == writers.MOST_SHOWN
