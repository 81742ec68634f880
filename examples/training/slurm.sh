#!/bin/bash
# One run on the nodes of a Slurm job:
#   sbatch examples/training/slurm.sh forecast --data /shared/sales.csv --horizon 28 --out /shared/runs/sales
# What comes after the script is what comes after `recurra train`; the folder of the run is one that all nodes share.
# Slurm starts torchrun once a node, and torchrun starts PROCESSES processes, of which each has its part of the cores.
# A job that Slurm puts back into the queue resumes its run, if it had begun it. See docs/several-processes.md.
#SBATCH --job-name=recurra
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

processes=${PROCESSES:-4}
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK > processes ? SLURM_CPUS_PER_TASK / processes : 1))
# A node that is replaced can join the others again.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1

# The folder is that of --out, or else that of the task. A job that had not begun its run has nothing to resume.
run=runs/${1:?the task, and what else comes after recurra train}
previous=""
for argument; do
    case $previous in --out) run=$argument ;; esac
    case $argument in --out=*) run=${argument#--out=} ;; esac
    previous=$argument
done
resume=()
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] && [ -e "$run/best.safetensors" ]; then
    resume=(--resume)
fi

srun torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "$processes" --max-restarts 3 \
    --rdzv-backend c10d --rdzv-endpoint "$first:29400" --rdzv-id "$SLURM_JOB_ID" \
    -m recurra train "$@" "${resume[@]}"
