"""Makes the golden arrays of GAT from the reference.

  python -m tests.golden.make_gat FOLDER

FOLDER is a clone of hse1032/GAT. PyTorch and NumPy are required, and nothing
else: two functions of einops and one layer of timm stand here. Every case
becomes a file `gat_CASE.npz` beside this script.

Each network runs in float64 on inputs and weights of `value`. Names of arrays
are those of parameters in `jaxgan.models.transformer`. Long arrays are thinned
by `thin`. The discriminator sees images without noise, because the noise is a
part of the reference's loss.
"""

import importlib
import math
import pathlib
import sys
import types

import numpy as np

from tests.golden.make_residual import BATCH, CLASSES, LABELS, thin, value

FOLDER = pathlib.Path(__file__).parent
PARAMS = 60  # most entries of a gradient with respect to a parameter
LATENTS, EMBEDDING, LEVELS = 6, 10, 4
# case -> (side, channels, blocks, width, heads, patch).
CASES = {'8': (8, 3, 4, 24, 2, 2), '12_patch_4': (12, 2, 8, 16, 4, 4)}


def entries(network) -> list[tuple]:
  """Returns (our name, parameter, is a matrix) of all used parameters."""
  found = []

  def add(name, layer):
    found.append((f'{name}/kernel', layer.weight, True))
    found.append((f'{name}/bias', layer.bias, False))

  is_generator = hasattr(network, 'final_layers')
  for index, block in enumerate(network.blocks):
    own = f'block_{index}'
    if is_generator:
      add(f'{own}/modulation', block.adaLN_modulation[1])
    else:
      for k, name in enumerate(('attn', 'mlp')):
        norm = getattr(block, f'norm{k + 1}').weight
        found.append((f'{own}/RMSNorm_{k}/scale', norm, False))
        scale = getattr(block, f'ls_{name}')
        found.append((f'{own}/scale_{k}', scale, False))
    for name, norm in (('query', 'q_norm'), ('key', 'k_norm')):
      weight = getattr(block.attn, norm).weight
      found.append((f'{own}/Attention_0/{name}/scale', weight, False))
    add(f'{own}/Attention_0/Dense_0', block.attn.qkv)
    add(f'{own}/Attention_0/Dense_1', block.attn.proj)
    add(f'{own}/SwiGLU_0/Dense_0', block.mlp.w12)
    add(f'{own}/SwiGLU_0/Dense_1', block.mlp.w3)
  table = network.y_embedder.embedding_table.weight
  end = 'Mapping_0' if is_generator else 'Judge_0'
  found.append((f'{end}/labels/embedding', table, False))
  embedder = network if is_generator else network.y_embedder
  for k, layer in enumerate((0, 2)):
    add(f'{end}/SlowDense_{k}', embedder.latent_embedder[layer])
  if is_generator:
    for index, head in enumerate(network.final_layers):
      add(f'head_{index}/modulation', head.adaLN_modulation[1])
      add(f'head_{index}/patches', head.linear)
  else:
    found.append(('class', network.cls_token, False))
    found.append(('RMSNorm_0/scale', network.final_layer[0].weight, False))
    add('Judge_0/logits', network.final_layer[1])
    add('patches', network.x_embedder.proj)
  return found


def _ours(x, is_matrix: bool) -> np.ndarray:
  """Returns a parameter of the reference in our layout."""
  x = np.asarray(x)
  if x.ndim == 4:  # a convolution of patches
    x = x.transpose(2, 3, 1, 0)
    return x.reshape(-1, x.shape[-1])
  if x.ndim == 3:  # the class token
    return x[0]
  return x.T if is_matrix else x


def _theirs(x: np.ndarray, shape) -> np.ndarray:
  """Returns an array of ours in the layout of a parameter."""
  if len(shape) == 4:
    features, channels, *kernel = shape
    return x.reshape(*kernel, channels, features).transpose(3, 2, 0, 1)
  if len(shape) == 3:
    return x[None]
  return x if x.shape == tuple(shape) else x.T


def record(network, inputs, output) -> dict[str, np.ndarray]:
  """Returns the golden arrays of a network by name.

  Args:
    network: a network of the reference.
    inputs: array of the inputs.
    output: function of the inputs.
  """
  import torch

  network.double()
  found = entries(network)
  for name, tensor, is_matrix in found:
    new = value(name, _ours(tensor.detach(), is_matrix).shape)
    if is_matrix and tensor.ndim == 2:
      new = new.T
    elif tensor.ndim > 2:
      new = _theirs(new, tensor.shape)
    tensor.data.copy_(torch.from_numpy(new.copy()))
  x = torch.from_numpy(inputs).requires_grad_()
  y = output(x)
  loss = (y * torch.from_numpy(value('probe', y.shape))).sum()
  grads = torch.autograd.grad(loss, [x, *(tensor for _, tensor, _ in found)])
  arrays = {
    'output': thin(y.detach().numpy()),
    'gradient': thin(grads[0].numpy()),
    'draw': np.int32(0),
  }
  for (name, _, is_matrix), gradient in zip(found, grads[1:], strict=True):
    arrays[f'params {name}'] = thin(_ours(gradient.numpy(), is_matrix), PARAMS)
  return arrays


def _stand_ins() -> None:
  """Registers the parts of einops and timm that the reference needs."""
  import torch
  from torch import nn

  def rearrange(x, pattern, **sizes):
    if '(d r) ->' in pattern:
      return x.reshape(*x.shape[:-1], -1, sizes['r'])
    return x.reshape(*x.shape[:-2], -1)

  class PatchEmbed(nn.Module):
    def __init__(self, side, patch, channels, width, bias):
      super().__init__()
      self.proj = nn.Conv2d(channels, width, patch, patch, bias=bias)
      self.patch_size = (patch, patch)
      self.num_patches = (side // patch) ** 2

    def forward(self, x):
      return self.proj(x).flatten(2).transpose(1, 2)

  repeat = lambda x, _, r: x.repeat_interleave(r, dim=-1)
  timm = types.ModuleType('timm.models.vision_transformer')
  timm.PatchEmbed, timm.Mlp = PatchEmbed, None
  sys.modules['timm.models.vision_transformer'] = timm
  for name in ('timm', 'timm.models', 'einops'):
    sys.modules[name] = types.ModuleType(name)
  sys.modules['einops'].rearrange = rearrange
  sys.modules['einops'].repeat = repeat
  torch.compile = lambda *args, **fields: lambda function: function


def arrays_of(case: str) -> dict[str, np.ndarray]:
  """Returns the golden arrays of a case by name."""
  import torch

  generators = importlib.import_module('models.generator')
  discriminators = importlib.import_module('models.discriminator')
  side, channels, depth, width, heads, patch = CASES[case]
  fields = dict(
    input_size=side,
    in_channels=channels,
    depth=depth,
    hidden_size=width,
    num_heads=heads,
    patch_size=patch,
    num_classes=CLASSES,
    z_dims=[0],
    qk_norm=True,
    fused_attn=False,
  )
  label = torch.tensor(LABELS)
  generator = generators.GAT(latent_size=LATENTS, **fields)
  nothing = torch.zeros(BATCH, channels, side, side, dtype=torch.float64)

  def images(z):
    made = generator(nothing, label, z, multiscale=True)
    return made.permute(0, 1, 3, 4, 2)

  discriminator = discriminators.GATD(cmap_dim=EMBEDDING, **fields)
  judge = lambda x: discriminator(x.permute(0, 1, 4, 2, 3), label)[:, 0]
  of_generator = record(generator, value('z', (BATCH, LATENTS)), images)
  shape = (LEVELS, BATCH, side, side, channels)
  of_discriminator = record(discriminator, value('images', shape), judge)
  return {
    f'{player} {name}': array
    for player, arrays in (
      ('generator', of_generator),
      ('discriminator', of_discriminator),
    )
    for name, array in arrays.items()
  }


def main(folder: str) -> None:
  sys.path.insert(0, folder)
  _stand_ins()
  for case in CASES:
    arrays = arrays_of(case)
    assert all(math.isfinite(x.sum()) for x in arrays.values())
    np.savez_compressed(FOLDER / f'gat_{case}.npz', **arrays)


if __name__ == '__main__':
  main(sys.argv[1])
