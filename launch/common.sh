# Sourced by the other scripts: goes to the root of the repository; help, flags
# that all have, and commands that are run or, with --dry-run, printed.
set -euo pipefail
script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dry_run=''
training=() # flags of `python -m jaxgan.main`

# The comment at the head of a script is its help.
show_help() {
  sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$script"
  exit 0
}

# fail MESSAGE [EXIT_CODE]
fail() {
  echo "error: $1" >&2
  exit "${2:-2}"
}

# Takes one of the flags that all scripts have; false if it is none.
common_flag() {
  case $1 in
    --help | -h) show_help ;;
    --dry-run) dry_run=1 ;;
    --config=* | --config.* | --noconfig.* | --workdir=*) training+=("$1") ;;
    *) return 1 ;;
  esac
}

unknown_flag() {
  fail "unknown flag '$1'; ${script##*/} --help lists them"
}

# The value of a flag of `python -m jaxgan.main`, or nothing.
training_flag() {
  local flag value=''
  for flag in ${training[@]+"${training[@]}"}; do
    case $flag in "$1="*) value=${flag#*=} ;; esac
  done
  echo "$value"
}

need_config() {
  [ -n "$(training_flag --config)" ] ||
    fail '--config is missing; try --config=configs/gan_mnist.py'
}

# Words as a line that a shell reads back.
quoted() {
  local line
  printf -v line ' %q' "$@"
  echo "${line# }"
}

run() {
  if [ -n "$dry_run" ]; then quoted "$@"; else "$@"; fi
}

# As `run`, in the place of the script.
become() {
  if [ -n "$dry_run" ]; then quoted "$@"; else exec "$@"; fi
}
