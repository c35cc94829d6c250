#!/usr/bin/env bash
# Trains in a SLURM job, with one process for each GPU of each node, or for each
# node where there are none. Run it where sbatch is, in a folder that all nodes
# see.
#
#   ./launch/slurm.sh --nodes=2 --gpus-per-node=4 --time=12:00:00 \
#     --config=configs/dcgan_cifar10.py --workdir=runs/cifar10
#
#   --nodes=N           nodes (1)
#   --gpus-per-node=N   GPUs of each node, and processes on it (0: one process)
#   --time= --partition= --account= --qos= --constraint= --mem=
#   --cpus-per-task= --exclude= are those of sbatch
#   --config=... --config.FIELD=... --workdir=... are those of training
#   --dry-run           prints the commands
#
# The job saves and goes back into the queue two minutes before its time is up,
# and when it is preempted or a node fails; it goes on from its workdir. A job of
# the same workdir waits for the one before it.
source "$(dirname "$0")/common.sh"

nodes=1
gpus=0
options=()
in_job=''
for flag in "$@"; do
  case $flag in
    --nodes=*) nodes=${flag#*=} ;;
    --gpus-per-node=*) gpus=${flag#*=} ;;
    --time=* | --partition=* | --account=* | --qos=* | --constraint=* | \
      --mem=* | --cpus-per-task=* | --exclude=*) options+=("$flag") ;;
    --in-job) in_job=1 ;; # set where the job calls this script
    *) common_flag "$flag" || unknown_flag "$flag" ;;
  esac
done
need_config
[[ $nodes =~ ^[1-9][0-9]*$ ]] || fail "--nodes=$nodes must be a positive number"
[[ $gpus =~ ^[0-9]+$ ]] || fail "--gpus-per-node=$gpus must be a number"
extras=${EXTRAS:-}
if ((gpus)); then extras=${EXTRAS:-cuda}; fi
workdir=$(training_flag --workdir)
[ -n "$workdir" ] || fail '--workdir is missing; it names the job and its log'

source launch/setup.sh "$extras"
if [ -z "$in_job" ]; then
  if ((gpus)); then options+=("--gpus-per-node=$gpus"); fi
  name=jaxgan-$(basename "$workdir")
  # Without B: the signal goes to the processes and not to this script. Every
  # process sees all GPUs of its node, of which JAX gives it one.
  become sbatch "--job-name=$name" "--nodes=$nodes" \
    "--ntasks-per-node=$((gpus ? gpus : 1))" ${options[@]+"${options[@]}"} \
    --requeue --open-mode=append --signal=TERM@120 --dependency=singleton \
    "--output=$name-%j.log" "--export=ALL,EXTRAS=$extras" \
    "--wrap=$(quoted ./launch/slurm.sh --in-job "${training[@]}")"
  exit
fi

# srun takes this from nowhere else.
[ -z "${SLURM_CPUS_PER_TASK:-}" ] ||
  export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
code=0
run srun --kill-on-bad-exit=1 env JAXGAN_DISTRIBUTED=1 \
  "$interpreter" -m jaxgan.main "${training[@]}" || code=$?
if ((code == 143)); then # saved, and not done
  run scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
