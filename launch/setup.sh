# Sourced by the other scripts. Creates .venv, installs requirements.txt and the
# extras in $1, and sets `interpreter`. Does nothing if .venv is up to date, or
# if JAXGAN_PYTHON names a Python that has all requirements.
declare -F run >/dev/null || source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

extras=${1:-}
interpreter=${JAXGAN_PYTHON:-.venv/bin/python}
[ -z "${JAXGAN_PYTHON:-}" ] || return 0

python=""
for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
  if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || fail "Python 3.11 or newer is required; set PYTHON to its path"

wanted=$(cat requirements.txt pyproject.toml; echo "$extras"; "$python" --version)
stamp=.venv/installed-${extras:-base}
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  if [ ! -x .venv/bin/python ] && ! run "$python" -m venv .venv; then
    rm -rf .venv
    fail "$python cannot create environments; on Debian and Ubuntu, run:\
 apt-get install python3-venv"
  fi
  [ -n "$dry_run" ] || echo "installing into .venv" >&2
  run .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --editable ".${extras:+[$extras]}"
  [ -n "$dry_run" ] || printf '%s\n' "$wanted" >"$stamp"
fi
