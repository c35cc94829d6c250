#!/usr/bin/env bash
# Trains on a TPU VM or a pod slice, with a queued resource of Google Cloud.
#
#   ./launch/tpu_vm.sh run --name=gan --zone=us-central1-a --type=v5litepod-16 \
#     --version=v2-alpha-tpuv5-lite --spot \
#     --prepare='mountpoint -q /mnt/runs || sudo mount 10.0.0.2:/runs /mnt/runs' \
#     --config=configs/dcgan_faces.py --workdir=/mnt/runs/faces
#
# Commands; each does nothing if its work is already done:
#   create   requests the TPU and waits until it is active
#   copy     copies the files that git tracks, as they are now, to all workers
#   setup    installs Python and .venv on all workers
#   start    starts training on all workers, in the background
#   logs     shows the output of the first worker until training ends
#   delete   deletes the TPU
#   run      all of these; requests a preempted TPU again, and training resumes
#            from its workdir
#
#   --name=NAME      name of the queued resource and of its node
#   --zone=ZONE      zone of Google Cloud
#   --type=TYPE      accelerator type, for create and run
#   --version=V      TPU software version, for create and run
#   --project=P      project (the default of gcloud)
#   --spot           requests a cheaper TPU that may be preempted
#   --prepare=CMD    for setup and run: command that each worker runs first, for
#                    example to mount the file system of the workdir
#   --keep           run does not delete the TPU when training has ended
#   --poll=S         seconds between two checks of the state (30)
#   --config=... --config.FIELD=... --workdir=...   as for training
#   --dry-run        prints the commands instead of running them
#
# The exit code of run is that of training, or 1 if training did not end. The
# workdir must be on a file system that all workers share and that outlives
# them, such as Filestore.
source "$(dirname "$0")/common.sh"

name='' zone='' type='' version='' prepare='' keep='' poll=30
place=() # --project and --zone
spot=()
command=${1:-}
case $command in
  create | copy | setup | start | logs | delete | run) shift ;;
  -*) ;; # may be --help
  *) fail "unknown command '$command'; tpu_vm.sh --help lists them" ;;
esac

for flag in "$@"; do
  case $flag in
    --name=*) name=${flag#*=} ;;
    --zone=*) zone=${flag#*=} ;;
    --type=*) type=${flag#*=} ;;
    --version=*) version=${flag#*=} ;;
    --project=*) place+=("$flag") ;;
    --spot) spot=(--spot) ;;
    --prepare=*) prepare=${flag#*=} ;;
    --keep) keep=1 ;;
    --poll=*) poll=${flag#*=} ;;
    *) common_flag "$flag" || unknown_flag "$flag" ;;
  esac
done
case $command in -*) fail "the command is missing; it comes first" ;; esac
[ -n "$name" ] || fail '--name is missing'
[ -n "$zone" ] || fail '--zone is missing, as --zone=us-central1-a'
place+=("--zone=$zone")
case $command in
  create | run)
    [ -n "$type" ] || fail '--type is missing, as --type=v5litepod-16'
    [ -n "$version" ] ||
      fail '--version is missing, as --version=v2-alpha-tpuv5-lite'
    ;;
esac
case $command in
  start | run)
    need_config
    case $(training_flag --workdir) in
      /*) ;;
      *) fail '--workdir must be an absolute path; --prepare mounts what it is on' ;;
    esac
    ;;
esac

queued=(gcloud compute tpus queued-resources)
node=(gcloud compute tpus tpu-vm)

# Runs a command on one worker or on all.
on() {
  run "${node[@]}" ssh "$name" "${place[@]}" "--worker=$1" "--command=$2"
}

# Prints ACTIVE, SUSPENDED and so on; NONE if the queued resource does not exist.
state() {
  local found
  if found=$("${queued[@]}" describe "$name" "${place[@]}" \
    '--format=value(state.state)' 2>&1); then
    echo "${found##*$'\n'}"
  elif [[ $found == *NOT_FOUND* ]]; then
    echo NONE
  else
    echo "error: ${found##*$'\n'}" >&2
    return 1
  fi
}

request() {
  run "${queued[@]}" create "$name" "${place[@]}" "--node-id=$name" \
    "--accelerator-type=$type" "--runtime-version=$version" \
    ${spot[@]+"${spot[@]}"}
}

# Deletes the queued resource and its nodes.
delete() {
  if [ -n "$dry_run" ] || [ "$(state)" != NONE ]; then
    run "${queued[@]}" delete "$name" "${place[@]}" --force --quiet
  fi
}

# Returns when the TPU is active, whatever its state was before.
create() {
  local now before='' unknown=0 failed=0
  if [ -n "$dry_run" ]; then
    request
    return
  fi
  while true; do
    now=$(state) || now=UNKNOWN
    [ "$now" = "$before" ] || echo "$name: $now" >&2
    before=$now
    case $now in
      ACTIVE) return ;;
      NONE) request ;;
      SUSPENDED) delete ;;
      FAILED)
        ((++failed < 3)) || fail "three requests for $name have failed; see \
$(quoted "${queued[@]}" describe "$name" "${place[@]}")" 1
        delete
        ;;
      UNKNOWN)
        ((++unknown < 5)) || fail "gcloud does not report the state of $name" 1
        sleep "$poll"
        ;;
      *) sleep "$poll" ;; # being created or deleted
    esac
  done
}

copy() {
  local archive=${TMPDIR:-/tmp}/jaxgan-$name.tar.gz
  run bash -c "git ls-files -z --cached |
tar --create --gzip --null --ignore-failed-read --files-from=- --file=$archive" &&
    run "${node[@]}" scp "$archive" "$name:jaxgan.tar.gz" "${place[@]}" \
      --worker=all &&
    on all 'mkdir -p jaxgan &&
tar --extract --gzip --file=jaxgan.tar.gz --directory=jaxgan' &&
    run rm "$archive"
}

# TPU VMs run Ubuntu 22.04, whose python3 is 3.10.
setup() {
  on all "${prepare:+( $prepare ) &&
}cd jaxgan &&
if ! command -v python3.12 && ! command -v python3.11
then
  sudo apt-get update --quiet &&
  sudo apt-get install --yes --quiet -o DPkg::Lock::Timeout=600 python3.11-venv
fi &&
bash -c 'source launch/setup.sh tpu'"
}

# Training writes its exit code to a file, which outlives the connection.
start() {
  local training_command
  training_command=$(quoted ./launch/local.sh "${training[@]}")
  on all "cd jaxgan &&
if ! kill -0 \$(cat train.pid) 2>/dev/null
then
  rm -f train.code
  export EXTRAS=tpu JAXGAN_DISTRIBUTED=1
  nohup bash -c $(quoted "$training_command; echo \$? >train.code") \\
    >train.log 2>&1 </dev/null &
  echo \$! >train.pid
fi"
}

logs() {
  on 0 'cd jaxgan && tail --lines=100 --follow --pid=$(cat train.pid) train.log'
}

# Prints the exit code of the first worker; nothing while it trains or is unreachable.
exit_code() {
  on 0 'cat jaxgan/train.code' 2>/dev/null | tr -cd 0-9 || true
}

# Returns true for exit codes of training; others are a crash or a signal.
is_final() { [[ $1 =~ ^[0234]$ ]]; }

train() {
  local code='' tries=0
  while true; do
    [ "$(state || true)" = ACTIVE ] || tries=0
    create
    if copy && setup && start; then
      logs || true
      code=$(exit_code)
      if is_final "$code"; then break; fi
    fi
    # The connection may end before the state shows the preemption.
    ((++tries < 5)) ||
      fail "five attempts on $name failed; tpu_vm.sh delete deletes the TPU" 1
    sleep "$poll"
  done
  [ -n "$keep" ] || delete
  exit "$code"
}

if [ "$command" != run ]; then
  "$command"
elif [ -n "$dry_run" ]; then
  for step in create copy setup start logs delete; do "$step"; done
else
  train
fi
