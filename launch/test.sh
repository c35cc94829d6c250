#!/usr/bin/env bash
# Runs the test suite.
#
#   ./launch/test.sh
#   ./launch/test.sh tests/adversarial/losses_test.py -k golden
#
#   --dry-run   prints the commands instead of running them
#   All other flags go to pytest. WORKERS=4 sets the number of processes (2).
source "$(dirname "$0")/common.sh"

flags=()
for flag in "$@"; do
  case $flag in
    --help | -h) show_help ;;
    --dry-run) dry_run=1 ;;
    *) flags+=("$flag") ;;
  esac
done
source launch/setup.sh dev
become "$interpreter" -m pytest -n "${WORKERS:-2}" --dist worksteal \
  ${flags[@]+"${flags[@]}"}
