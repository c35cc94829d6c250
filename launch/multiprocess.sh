#!/usr/bin/env bash
# Trains with several processes on this machine. With GPUs, each process uses
# one: EXTRAS=cuda ./launch/multiprocess.sh -n 4 ...
#
#   ./launch/multiprocess.sh -n 4 --config=configs/gan_mnist.py
#
#   -n N         number of processes (2)
#   --port=P     port of the first process (a free port)
#   --config=... --config.FIELD=... --workdir=...   as for training
#   --dry-run    prints the commands instead of running them
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

# jaxgan reads the first three variables, JAX itself reads the last.
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
# All processes save the same step when one of them is told to stop.
trap 'asked=1; kill -TERM "${processes[@]}" 2>/dev/null || true' TERM INT
for ((k = 0; k < count; k++)); do
  process "$k" &
  processes+=($!)
done

# Returns the exit code of the first process that failed; it ends the others.
code=0
while true; do
  asked=''
  result=0
  wait -n || result=$?
  if ((result == 127)); then break; fi # all processes have ended
  if [ -z "$asked" ] && ((code == 0)); then code=$result; fi
done
exit "$code"
