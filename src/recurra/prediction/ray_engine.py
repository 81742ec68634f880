"""Pieces predicted by the workers of Ray: Ray Data gives them out, and begins those of a lost worker again."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlsplit

from recurra.errors import MissingExtraError, ParameterError, RecurraError, RunError
from recurra.prediction.piece_worker import Job, PieceResult, PieceWorker

__all__ = ["predict_pieces"]

_PATIENCE = 10.0  # seconds


def predict_pieces(
    folder: Path, job: Job, pieces: Sequence[int], workers: int | None, address: str | None
) -> Iterator[PieceResult]:
    """The results of pieces, as the workers finish them.

    Ray is started on this machine if the process has not connected to a cluster yet and there is no address. The files
    of the run travel through Ray's object store, so that a worker needs no folder of this machine for it.

    Args:
        folder: of the run.
        job: what to predict.
        pieces: the indices of those to predict.
        workers: how many, each with the run loaded once; None: one a CPU.
        address: of a cluster, as `ray.init` takes it.

    Raises:
        MissingExtraError: Ray is not installed.
        ParameterError: the cluster cannot be reached, or has too few CPUs.
        RunError: Ray cannot be started.
        RecurraError: a worker raised it.
    """
    ray = _import_ray()
    begun = not ray.is_initialized()
    if begun:
        _connect(ray, address)
    try:
        cpus = int(ray.cluster_resources().get("CPU", 0))
        most = max(1, cpus // job.threads)
        if workers is not None and workers > most:
            expected = f"at most {most}, as Ray has {cpus} CPUs and a worker takes {job.threads}"
            raise ParameterError("workers", expected, workers)
        yield from _predict(ray, folder, job, pieces, min(workers or most, len(pieces)))
    finally:
        if begun:
            ray.shutdown()


def _import_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("Ray Data", "ray", "--engine ray") from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    """Start Ray, or connect to a cluster. Raises RunError or ParameterError."""
    local: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    # Ray's own notes would stand between the lines of the progress.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    expected = "the address of a Ray cluster that can be reached"
    try:
        if address is not None:
            _check_port(address)
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **local)
    except Exception as error:  # Ray raises no narrower one if a process of its own does not start in time
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        if address is None:
            raise RunError(f"Ray cannot be started on this machine ({reason})") from None
        raise ParameterError("address", expected, address, f"({reason})") from None


def _check_port(address: str) -> None:
    """Raises OSError or ValueError if nothing answers at an address with a port, which Ray would try for minutes."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    if parts.port is not None:
        socket.create_connection((parts.hostname or "", parts.port), timeout=_PATIENCE).close()


def _predict(ray: Any, folder: Path, job: Job, pieces: Sequence[int], workers: int) -> Iterator[PieceResult]:
    ray.data.DataContext.get_current().enable_progress_bars = False
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    # Workers that begin again need the files: this reference keeps them in the store.
    stored = ray.put(files)
    data = ray.data.from_items([{"piece": piece} for piece in pieces], override_num_blocks=len(pieces)).map(
        _Worker,
        fn_constructor_args=(stored, job),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=job.threads,
    )
    for row in data.iter_rows():
        if row["error"] is not None:
            raise row["error"]
        yield row["result"]


class _Worker:
    """What a worker of Ray runs: it unpacks the run, loads it once, and predicts the pieces that it is sent."""

    def __init__(self, files: Any, job: Job) -> None:
        import ray

        from recurra.task import load

        stored: Any = ray.get(files)
        folder = Path(mkdtemp(prefix=f"recurra-run-{os.getpid()}-"))
        for name, content in stored.items():
            (folder / name).write_bytes(content)
        self._worker = PieceWorker(load(folder), job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"result": self._worker(int(row["piece"])), "error": None}
        except RecurraError as error:
            return {"result": None, "error": error}
