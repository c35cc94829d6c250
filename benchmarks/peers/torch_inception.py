"""Writes features of pytorch-fid's network with random weights, for tests.

Reads images.npz of a folder, uint8 [B, H, W, C] each, and writes their features
as features.npz. Also writes the weights and statistics of norms as random.pth,
and in the format before PyTorch 1.6 as stream.pth.
"""

import pathlib
import sys

import numpy as np
import torch
import torchvision
from pytorch_fid import inception
from torch.nn import functional


def random_state():
  """Returns weights that keep activations near 1."""
  torch.manual_seed(0)
  network = torchvision.models.inception_v3(
    weights=None, num_classes=1008, aux_logits=False, init_weights=False
  )
  state = network.state_dict()
  # Blocks of pytorch-fid have the same names and shapes.
  for name, tensor in state.items():
    if name.endswith(('running_var', 'bn.weight')):
      tensor.uniform_(0.5, 1.5)
    elif tensor.ndim > 1:
      tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)
    elif tensor.is_floating_point():
      tensor.normal_(0, 0.1)
  return state


@torch.no_grad()
def main(folder):
  folder = pathlib.Path(folder)
  state = random_state()
  torch.save(state, folder / 'random.pth')
  torch.save(state, folder / 'stream.pth', _use_new_zipfile_serialization=False)
  inception.load_state_dict_from_url = lambda *_, **__: state
  pool = inception.InceptionV3([3]).eval()
  network = inception.fid_inception_v3().eval()
  outputs = {}
  for name, images in np.load(folder / 'images.npz').items():
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    x = x.expand(-1, 3, -1, -1)
    outputs[f'{name}/pool'] = pool(x)[0][:, :, 0, 0].numpy()
    x = functional.interpolate(
      x, size=(299, 299), mode='bilinear', align_corners=False
    )
    x = 2 * x - 1
    outputs[f'{name}/resized'] = x.permute(0, 2, 3, 1).numpy()
    outputs[f'{name}/logits'] = network(x).numpy()
  np.savez(folder / 'features.npz', **outputs)


if __name__ == '__main__':
  main(*sys.argv[1:])
