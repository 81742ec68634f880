#!/bin/sh
# The same command on each machine trains one run on all of them:
#   FIRST=first-machine MACHINES=2 PROCESSES=8 examples/training/torchrun.sh \
#     forecast --data /shared/sales.csv --horizon 28 --out /shared/runs/sales
# FIRST is the name of one of the machines, whose port 29400 is open to the others. PROCESSES is of each machine.
# What comes after the script is what comes after `recurra train`; the folder of the run is one that all share.
# See docs/several-processes.md.
set -eu

# A machine that is replaced can join the others again.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1

exec torchrun --nnodes "${MACHINES:-1}" --nproc-per-node "${PROCESSES:-1}" --max-restarts "${RESTARTS:-3}" \
    --rdzv-backend c10d --rdzv-endpoint "${FIRST:-localhost}:${PORT:-29400}" --rdzv-id "${RUN:-recurra}" \
    -m recurra train "$@"
