#!/usr/bin/env bash
# Trains on this machine, on all devices that JAX finds.
#
#   ./launch/local.sh --config=configs/gan_mnist.py
#
#   --dry-run   prints the commands instead of running them
#   All other flags go to `python -m jaxgan.main`; --helpshort lists them.
#
# On an NVIDIA GPU: EXTRAS=cuda ./launch/local.sh ...
# On a TPU:         EXTRAS=tpu ./launch/local.sh ...
source "$(dirname "$0")/common.sh"

flags=()
for flag in "$@"; do
  case $flag in
    --help | -h) show_help ;;
    --dry-run) dry_run=1 ;;
    *) flags+=("$flag") ;;
  esac
done
source launch/setup.sh "${EXTRAS:-}"
become "$interpreter" -m jaxgan.main "${flags[@]}"
