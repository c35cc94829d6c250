"""Makes the golden arrays of DINOv2 from the reference.

  python -m tests.golden.make_dinov2 FOLDER

FOLDER is a clone of facebookresearch/dinov2. PyTorch and NumPy are required,
and nothing else. The result is `dinov2.npz` beside this script.

A narrow network with the positions of 518 pixels runs in float64 on images of
224 pixels. Inputs and weights are those of `value`, under the authors' names.
"""

import functools
import importlib
import pathlib
import sys

import numpy as np

from tests.golden.make_residual import thin, value

FOLDER = pathlib.Path(__file__).parent
WIDTH, DEPTH, BATCH = 128, 3, 2
SIDE, FULL_SIDE, PATCH = 224, 518, 14


def tensor(name: str, shape) -> np.ndarray:
  """Returns the weights of a tensor, in the layout of PyTorch."""
  x = value(name, shape)
  if name.endswith('weight') and len(shape) > 1:
    return x / np.sqrt(np.prod(shape[1:]) / 2)
  if name.endswith(('weight', 'gamma')):
    return 1.0 + 0.3 * x
  return x if name == 'pos_embed' else 0.3 * x


def images() -> np.ndarray:
  """Returns the network's input [BATCH, 224, 224, 3]."""
  return value('images', (BATCH, SIDE, SIDE, 3))


def main(folder: str) -> None:
  import torch

  sys.path.insert(0, folder)
  models = importlib.import_module('dinov2.models.vision_transformer')
  layers = importlib.import_module('dinov2.layers')
  network = models.DinoVisionTransformer(
    img_size=FULL_SIDE,
    patch_size=PATCH,
    embed_dim=WIDTH,
    depth=DEPTH,
    num_heads=WIDTH // 64,
    mlp_ratio=4,
    init_values=1.0,
    block_chunks=0,
    block_fn=functools.partial(
      layers.NestedTensorBlock, attn_class=layers.MemEffAttention
    ),
  )
  network = network.double().eval()
  state = {
    name: torch.from_numpy(tensor(name, tuple(old.shape)))
    for name, old in network.state_dict().items()
  }
  network.load_state_dict(state)
  x = torch.from_numpy(images()).permute(0, 3, 1, 2)
  with torch.no_grad():
    features = network(x)
    tokens = torch.zeros(1, 1 + (SIDE // PATCH) ** 2, WIDTH)
    positions = network.interpolate_pos_encoding(tokens, SIDE, SIDE)
  np.savez_compressed(
    FOLDER / 'dinov2.npz',
    features=features.numpy(),
    positions=thin(positions.numpy()),
    names=np.array([f'{k} {tuple(v.shape)}' for k, v in state.items()]),
  )


if __name__ == '__main__':
  main(*sys.argv[1:])
