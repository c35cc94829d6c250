#!/usr/bin/env bash
# Trains on this machine, on all the devices that JAX finds.
#
#   ./launch/local.sh --config=configs/gan_mnist.py
#
#   --dry-run   prints the commands
#   all others are those of `python -m jaxgan.main`; --helpshort lists them
#
# On a GPU box: EXTRAS=cuda ./launch/local.sh ...
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
