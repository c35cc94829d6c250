#!/usr/bin/env bash
# Runs the test suite; arguments go to pytest.
#
#   ./launch/test.sh
#   ./launch/test.sh tests/losses_test.py -k golden
set -euo pipefail
source "$(dirname "$0")/setup.sh" dev
exec .venv/bin/python -m pytest -n "${WORKERS:-2}" --dist worksteal "$@"
