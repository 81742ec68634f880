"""The worker processes of a search, seen from their parent."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from recurra import errors
from recurra.errors import ParameterError, RunError
from recurra.tuning.trials import Search, Trials
from recurra.tuning.worker import DONE, INTERRUPTED, REFUSED

__all__ = ["run_workers", "threads_each"]

_POLL = 0.1
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


def threads_each(jobs: int) -> int:
    """The threads of each of some workers: the cores of this process divided, or `OMP_NUM_THREADS` if that is set."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    cores = int(text) if text.isdigit() and int(text) else len(os.sched_getaffinity(0))
    return max(1, cores // jobs)


def run_workers(search: Search, trials: Trials, tick: Callable[[], object]) -> None:
    """Train the trials of a search in its number of processes.

    A worker that dies is replaced, and its trial recorded as failed for that reason.

    Args:
        search: picklable.
        trials: of the search.
        tick: called every so often, and after each trial.

    Raises:
        RecurraError: what a worker says ends the search.
        KeyboardInterrupt: on Ctrl-C; the trials under way are saved first.
    """
    if search.kind.__module__ == "__main__":
        way_out = f"Or move {search.kind.__name__} to a module of its own."
        raise ParameterError("jobs", "0 for a class of the program itself", search.tuning.jobs, way_out)
    try:
        content = pickle.dumps(search)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ParameterError("jobs", f"0 for data that cannot be pickled ({error})", search.tuning.jobs) from error
    workers = [_Worker(search, content) for _ in range(search.tuning.jobs)]
    try:
        while workers:
            time.sleep(_POLL)
            if search.is_over:
                for worker in workers:
                    worker.stop()
            for worker in list(workers):
                status = worker.process.poll()
                if status is None:
                    continue
                workers.remove(worker)
                replacement = _ended(worker, status, search, content, trials)
                if replacement is not None:
                    workers.append(replacement)
            tick()
    except BaseException:
        for worker in workers:
            worker.stop()
        raise
    finally:
        # A second Ctrl-C ends them at once; they end with this process in any case.
        for worker in workers:
            worker.process.wait()
            worker.close()


def _ended(worker: "_Worker", status: int, search: Search, content: bytes, trials: Trials) -> "_Worker | None":
    """Record how a worker ended; the one that takes its place, if it died."""
    lines = [json.loads(line) for line in worker.close().splitlines()]
    if status in (DONE, INTERRUPTED) or (worker.is_stopped and status == -signal.SIGTERM):
        return None
    if status == REFUSED and lines and "error" in lines[-1]:
        raise _as_raised(lines[-1])
    how = f"its process ended with status {status}"
    if status < 0:
        name = signal.Signals(-status).name
        memory = "; memory may have run out" if name == "SIGKILL" else ""
        how = f"its process was killed by {name}{memory}"
    if trials.died(worker.name, how) is None and not lines:
        raise RunError(f"jobs: a worker had no trial yet when {how}")
    return _Worker(search, content)


def _as_raised(line: dict[str, str]) -> Exception:
    """The error of a worker, of its own class with its own message."""
    kind = getattr(errors, line["kind"], RunError)
    return kind.__new__(kind, line["error"])


class _Worker:
    """A process that trains trials, in a session of its own: Ctrl-C reaches it through this one."""

    def __init__(self, search: Search, content: bytes) -> None:
        self.name = f"{search.session}-{os.urandom(4).hex()}"
        self.is_stopped = False
        threads = str(threads_each(search.tuning.jobs))
        path = os.pathsep.join(filter(None, sys.path))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "recurra.tuning.worker", self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(_THREADS, threads), "PYTHONPATH": path},
            start_new_session=True,
        )
        assert self.process.stdin is not None
        # A worker that died before it had read everything is seen at its end.
        with suppress(BrokenPipeError):
            self.process.stdin.write(content)
            self.process.stdin.flush()

    def stop(self) -> None:
        """Ask it to save its trial and end; once."""
        if not self.is_stopped and self.process.poll() is None:
            self.is_stopped = True
            self.process.send_signal(signal.SIGTERM)

    def close(self) -> str:
        """What it wrote, after its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(OSError):
            self.process.stdin.close()
        text = "" if self.process.stdout.closed else self.process.stdout.read().decode()
        self.process.stdout.close()
        return text
