"""examples/training: syntax, what the scripts start, and dry runs on this machine."""

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from torchruns import STEPS, free_port, train, wait_for_step

from process_tree import descendants, name_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "training"
TRAIN = ["forecast", "--horizon", "4", "--hidden-size", "4", "--batch-size", "4", "--max-steps", "20"]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs that stand in for Slurm's; `srun` starts its command once, on this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder / "scontrol", "printf 'localhost\\nother\\n'")
    program(folder / "srun", 'exec "$@"')
    return folder


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(programs: Path, *command: str | Path, **variables: str) -> str:
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, **variables}
    done = subprocess.run(command, env=environment, cwd=programs.parent, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


# What a program in place of torchrun prints.
SHOWN = 'echo "$OMP_NUM_THREADS $TORCH_DISABLE_SHARE_RDZV_TCP_STORE"; printf "%s\\n" "$@"'

SLURM = {
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_JOB_ID": "77",
    "SLURM_CPUS_PER_TASK": "8",
}


@pytest.mark.parametrize(
    ("script", "variables", "expected"),
    [
        (
            "torchrun.sh",
            {"FIRST": "first", "MACHINES": "3", "PROCESSES": "2"},
            ("3", "2", "first:29400", "recurra"),
        ),
        ("slurm.sh", SLURM, ("2", "4", "localhost:29400", "77")),
    ],
)
def test_a_script_starts_torchrun(programs: Path, script: str, variables: dict[str, str], expected: Any) -> None:
    program(programs / "torchrun", SHOWN)
    environment, *arguments = run(programs, EXAMPLES / script, *TRAIN, "a b", **variables).splitlines()
    assert environment.split()[-1] == "1"
    if script == "slurm.sh":
        assert environment == "2 1"  # eight cores, four processes
    options = dict(pairwise(arguments))
    names = ("--nnodes", "--nproc-per-node", "--rdzv-endpoint", "--rdzv-id")
    assert tuple(options[name] for name in names) == expected
    assert arguments[arguments.index("-m") :] == ["-m", "recurra", "train", *TRAIN, "a b"]


@pytest.mark.parametrize("out", [["--out", "a run"], ["--out=a run"], []])
def test_a_slurm_job_put_back_resumes_a_run_that_it_had_begun(programs: Path, tmp_path: Path, out: list[str]) -> None:
    program(programs / "torchrun", SHOWN)
    folder = tmp_path / ("a run" if out else "runs/forecast")

    def resumes(restarts: str) -> bool:
        started = run(programs, EXAMPLES / "slurm.sh", *TRAIN, *out, **SLURM, SLURM_RESTART_COUNT=restarts)
        return started.splitlines()[-1] == "--resume"

    assert not resumes("1")
    folder.mkdir(parents=True)
    assert not resumes("1")
    (folder / "best.safetensors").touch()
    assert resumes("1")
    assert not resumes("0")


def test_the_parts_of_the_kubernetes_job_fit_together(programs: Path) -> None:
    service, job = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    name, pod = job["metadata"]["name"], job["spec"]["template"]["spec"]
    assert service["spec"]["selector"] == {"job-name": name}
    assert pod["subdomain"] == service["metadata"]["name"]
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    program(programs / "torchrun", 'printf "%s\\n" "$@"')
    variables = {one["name"]: one["value"] for one in container["env"]}
    started = run(programs, *container["command"], *container["args"], **variables).splitlines()
    options = dict(pairwise(started))
    port = service["spec"]["ports"][0]["port"]
    assert options["--rdzv-endpoint"] == f"{name}-0.{pod['subdomain']}:{port}"
    assert int(options["--nnodes"]) == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert int(options["--nproc-per-node"]) * int(variables["OMP_NUM_THREADS"]) == int(
        container["resources"]["requests"]["cpu"]
    )
    assert started[-1] == options["--out"] == variables["RUN"]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["torchrun.sh", "slurm.sh"])
def test_a_script_trains_on_this_machine(programs: Path, waves: Path, tmp_path: Path, script: str) -> None:
    variables = {**SLURM, "SLURM_JOB_NUM_NODES": "1", "PROCESSES": "2", "PORT": str(free_port())}
    arguments = ["--data", str(waves), "--out", str(tmp_path / "run")]
    assert "trained 20 steps" in run(programs, EXAMPLES / script, *TRAIN, *arguments, **variables)


@pytest.mark.slow
@pytest.mark.timeout(2000)
def test_ray_starts_all_workers_again_if_one_is_killed(waves: Path, two: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.train.torch", reason="needs the extra ray", exc_type=ImportError)
    folder = tmp_path / "run"
    script = [sys.executable, str(EXAMPLES / "ray_train.py"), *train(waves, folder)[1:]]
    # By default Ray's workers have a low priority, so that other work of the machine starves them.
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    with (tmp_path / "output").open("w") as file:
        process = subprocess.Popen(script, stdout=file, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_for_step(folder, 60, seconds=900)
        workers = [pid for pid in descendants(process.pid) if "RayTrainWorker" in name_of(pid)]
        os.kill(workers[0], signal.SIGKILL)
        process.wait(900)
    finally:
        process.terminate()
        process.wait(60)
    output = (tmp_path / "output").read_text()
    assert process.returncode == 0, output
    assert len(workers) == 2
    assert f"trained {STEPS} steps" in output
    for name in ("best.safetensors", "log.csv", "health.csv"):
        assert (folder / name).read_bytes() == (two / name).read_bytes(), name
