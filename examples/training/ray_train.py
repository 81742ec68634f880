"""One run on the workers of a Ray cluster.

    pip install 'recurra[ray]'
    python examples/training/ray_train.py --address auto --workers 8 \\
        forecast --data /shared/sales.csv --horizon 28 --out /shared/runs/sales

What comes after the options is what comes after `recurra train`; data and run are on a file system that all workers
share. Ray Train starts the workers and joins them, as torchrun does. If one dies, Ray starts all anew, and they resume
from the last checkpoint; so does the same command. See docs/several-processes.md.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer


def train(config: dict[str, Any]) -> None:
    """What each worker does; Ray has joined them."""
    from recurra.cli.main import main

    # Ray moves each worker into a folder of its own. Relative paths are from where the command was started.
    if Path(config["start"]).is_dir():
        os.chdir(config["start"])
    folder = Path(config["folder"])
    resume = ["--resume"] if (folder / "best.safetensors").exists() else []
    status = main(["train", *config["arguments"], "--out", str(folder), *resume])
    if status:
        raise RuntimeError(f"recurra train ended with status {status}; its message is above")


def run() -> None:
    parser = argparse.ArgumentParser(description="Train on the workers of a Ray cluster.", allow_abbrev=False)
    parser.add_argument("--address", help="of the cluster; by default Ray starts on this machine")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--threads", type=int, default=1, help="cores of each process")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; Ray's own files are beside it")
    options, arguments = parser.parse_known_args()

    ray.init(address=options.address)
    folder = options.out.resolve()
    TorchTrainer(
        train,
        train_loop_config={"arguments": arguments, "folder": str(folder), "start": str(Path.cwd())},
        scaling_config=ScalingConfig(num_workers=options.workers, resources_per_worker={"CPU": options.threads}),
        run_config=RunConfig(storage_path=f"{folder}-ray", failure_config=FailureConfig(max_failures=3)),
    ).fit()


if __name__ == "__main__":
    run()
