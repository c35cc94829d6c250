#!/usr/bin/env bash
# Trains on this machine, on all the devices that JAX finds. The arguments are
# those of `python -m jaxgan.main`. On a GPU box: EXTRAS=cuda ./launch/local.sh ...
#
#   ./launch/local.sh --config=configs/gan_mnist.py
set -euo pipefail
source "$(dirname "$0")/setup.sh" "${EXTRAS:-}"
exec .venv/bin/python -m jaxgan.main "$@"
