"""pytorch-fid's network with random weights, for the tests of Inception.

Writes weights and statistics of normalisers into a folder, as random.pth and in
the format before PyTorch 1.6 as stream.pth, and what the network makes of the
images in images.npz, uint8 [B, H, W, C] each, as features.npz.
"""

import pathlib
import sys

import numpy as np
import torch
import torchvision
from pytorch_fid import inception
from torch.nn import functional


def random_state():
  """Weights that keep activations near 1, so that nothing dies or explodes."""
  torch.manual_seed(0)
  network = torchvision.models.inception_v3(
    weights=None, num_classes=1008, aux_logits=False, init_weights=False
  )
  state = network.state_dict()
  # The blocks that pytorch-fid replaces have the same names and shapes.
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
  whole = inception.fid_inception_v3().eval()
  found = {}
  for name, images in np.load(folder / 'images.npz').items():
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    x = x.expand(-1, 3, -1, -1)
    found[f'{name}/pool'] = pool(x)[0][:, :, 0, 0].numpy()
    x = functional.interpolate(
      x, size=(299, 299), mode='bilinear', align_corners=False
    )
    x = 2 * x - 1
    found[f'{name}/resized'] = x.permute(0, 2, 3, 1).numpy()
    found[f'{name}/logits'] = whole(x).numpy()
  np.savez(folder / 'features.npz', **found)


if __name__ == '__main__':
  main(*sys.argv[1:])
