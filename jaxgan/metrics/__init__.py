"""Metrics: pure functions of images, features, latents or log-weights.

Arguments are arrays of NumPy or JAX. The real set is the first argument.

  frechet            Frechet distance of Gaussians, its statistics and bias
  kernel             kernel distance (KID)
  neighbours         precision, recall, density, coverage; nearest images
  classes            Inception Score; accuracy and histograms of classes
  modes              modes found, high-quality share, divergence from uniform
  parzen             Parzen-window log-likelihood
  likelihood         importance-sampled log-likelihood
  wasserstein        sliced Wasserstein distance
  similarity         PSNR, errors in holes, SSIM, MS-SSIM as diversity
  smoothness         perceptual path length
  bootstrap          confidence intervals of any statistic
  scores             table of the scores of generated images
  random_features    features of a random network, for data of any kind
  inception          features of InceptionV3, from a file of weights
  inception_network  InceptionV3 as a Flax module
  dinov2             features of DINOv2, from a file of weights
  dinov2_network     the vision transformer of DINOv2 as a Flax module
  pth                reads PyTorch's weight files without PyTorch
  batches            applies a function of a batch to any number of images
  distances          squared distances in blocks of rows
  check              checks of arguments

Images are uint8, or floats in [-1, 1]. Features are [N, D]. `frechet` and
`bootstrap` run on the host. All other metrics also run under `jit`, where only
shapes are checked.
"""
