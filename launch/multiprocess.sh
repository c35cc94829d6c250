#!/usr/bin/env bash
# Trains with several processes on this machine. On a GPU box each takes one
# GPU: EXTRAS=cuda ./launch/multiprocess.sh -n 4 ...
#
#   ./launch/multiprocess.sh -n 4 --config=configs/gan_mnist.py
#
#   -n N         processes (2)
#   --port=P     where the first one listens; a free port if not given
#   --config=... --config.FIELD=... --workdir=... are those of training
#   --dry-run    prints the commands
source "$(dirname "$0")/common.sh"

count=2
port=''
while (($#)); do
  case $1 in
    -n)
      (($# > 1)) || fail '-n needs a number, as -n 4'
      count=$2
      shift
      ;;
    --port=*) port=${1#*=} ;;
    *) common_flag "$1" || unknown_flag "$1" ;;
  esac
  shift
done
[[ $count =~ ^[1-9][0-9]*$ ]] || fail "-n $count must be a positive number"
need_config
source launch/setup.sh "${EXTRAS:-}"
if [ -z "$port" ]; then
  port=$("${JAXGAN_PYTHON:-$python}" -c 'import socket
with socket.create_server(("127.0.0.1", 0)) as server:
  print(server.getsockname()[1])')
fi

# `jaxgan.parallel.connect` reads the first three, JAX itself the last.
process() {
  become env "JAX_COORDINATOR_ADDRESS=127.0.0.1:$port" \
    "JAX_NUM_PROCESSES=$count" "JAX_PROCESS_ID=$1" \
    "JAX_LOCAL_DEVICE_IDS=$1" \
    "$interpreter" -m jaxgan.main "${training[@]}"
}

if [ -n "$dry_run" ]; then
  for ((k = 0; k < count; k++)); do process "$k"; done
  exit
fi

processes=()
asked=''
# All save the same step when one of them is asked to stop.
trap 'asked=1; kill -TERM "${processes[@]}" 2>/dev/null || true' TERM INT
for ((k = 0; k < count; k++)); do
  process "$k" &
  processes+=($!)
done

# The exit code of the first that failed: the others die of it.
code=0
while true; do
  asked=''
  result=0
  wait -n || result=$?
  if ((result == 127)); then break; fi # nobody is left
  if [ -z "$asked" ] && ((code == 0)); then code=$result; fi
done
exit "$code"
