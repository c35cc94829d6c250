"""Metrics: pure functions of images, features, latents or log-weights.

Arrays of NumPy or JAX, from wherever. What stands first is the real set.

  frechet      Frechet distance of Gaussians, from streamed statistics; its bias
  kernel       kernel distance (KID)
  neighbours   precision, recall, density, coverage; nearest training images
  score        Inception Score; accuracy and histograms of classes
  modes        modes found, high quality share, divergence from uniform; floors
  parzen       Parzen-window log-likelihood
  likelihood   importance-sampled log-likelihood
  wasserstein  sliced Wasserstein distance
  similarity   PSNR, errors in holes, SSIM, MS-SSIM as diversity
  smoothness   perceptual path length
  bootstrap    confidence intervals for any of them
  inception    features of InceptionV3, from a file of weights
  batches      functions of any number of images from functions of a batch
  pth          reads such files without PyTorch
  distances    squared distances in blocks, which others are made of
  check        what every one of them refuses

Images are uint8, or floats in [-1, 1]; features are [N, D]. `frechet` and
`bootstrap` run on the host; all others also work under `jit`, where shapes are
still checked and values cannot be.
"""
