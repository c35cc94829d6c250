# Sourced by the other scripts: makes .venv with what requirements.txt and the
# extras in $1 ask for. Does nothing where that has been done already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extras=${1:-}
python=""
for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
  if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "error: Python 3.11 or newer is needed; set PYTHON to one" >&2
  exit 2
fi

wanted=$(cat requirements.txt pyproject.toml; echo "$extras"; "$python" --version)
stamp=.venv/installed-${extras:-base}
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  if [ ! -x .venv/bin/python ] && ! "$python" -m venv .venv; then
    rm -rf .venv
    echo "error: $python can not make environments; on Debian and Ubuntu:" \
      "apt-get install python3-venv" >&2
    exit 2
  fi
  echo "installing into .venv" >&2
  .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --editable ".${extras:+[$extras]}"
  printf '%s\n' "$wanted" >"$stamp"
fi
