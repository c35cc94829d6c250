# Sourced by the other scripts. Changes to the root of the repository; defines
# help, common flags, and functions that run or (--dry-run) print commands.
set -euo pipefail
script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dry_run=''
training=() # flags of `python -m jaxgan.main`

# Prints the comment at the top of the script.
show_help() {
  sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$script"
  exit 0
}

# fail MESSAGE [EXIT_CODE]
fail() {
  echo "error: $1" >&2
  exit "${2:-2}"
}

# Takes a flag that all scripts have; returns false for other flags.
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

# Prints the value of a flag of `python -m jaxgan.main`, or nothing.
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

# Prints words as a line that a shell reads back.
quoted() {
  local line
  printf -v line ' %q' "$@"
  echo "${line# }"
}

run() {
  if [ -n "$dry_run" ]; then quoted "$@"; else "$@"; fi
}

# Like `run`, but replaces the script.
become() {
  if [ -n "$dry_run" ]; then quoted "$@"; else exec "$@"; fi
}
