#!/usr/bin/env bash
# Trains in a SLURM job, with one process per GPU, or one per node without GPUs.
# Requires sbatch. Run it in a folder that all nodes share.
#
#   ./launch/slurm.sh --nodes=2 --gpus-per-node=4 --time=12:00:00 \
#     --config=configs/dcgan_cifar10.py --workdir=runs/cifar10
#
#   --nodes=N           number of nodes (1)
#   --gpus-per-node=N   GPUs and processes per node (0: one process, no GPU)
#   --time= --partition= --account= --qos= --constraint= --mem=
#   --cpus-per-task= --exclude=                     as for sbatch
#   --config=... --config.FIELD=... --workdir=...   as for training
#   --dry-run           prints the commands instead of running them
#
# Two minutes before its time limit, the job saves and returns to the queue. It
# also returns when it is preempted or a node fails, and resumes from its
# workdir. A second job with the same workdir waits for the first.
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
    --in-job) in_job=1 ;; # set when the job calls this script
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
  name=$(basename "$workdir")
  # SLURM takes % and backslashes of the name of a log for patterns.
  name=jaxgan-${name//[^A-Za-z0-9._=,+-]/_}
  # Without B, the signal goes to the processes instead of this script. Each
  # process sees all GPUs of its node; JAX assigns one to it.
  become sbatch "--job-name=$name" "--nodes=$nodes" \
    "--ntasks-per-node=$((gpus ? gpus : 1))" ${options[@]+"${options[@]}"} \
    --requeue --open-mode=append --signal=TERM@120 --dependency=singleton \
    "--output=$name-%j.log" "--export=ALL,EXTRAS=$extras" \
    "--wrap=$(quoted ./launch/slurm.sh --in-job "${training[@]}")"
  exit
fi

# srun does not inherit this value from sbatch.
[ -z "${SLURM_CPUS_PER_TASK:-}" ] ||
  export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
code=0
run srun --kill-on-bad-exit=1 env JAXGAN_DISTRIBUTED=1 \
  "$interpreter" -m jaxgan.main "${training[@]}" || code=$?
if ((code == 143)); then # saved before the end of training
  run scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
