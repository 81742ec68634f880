"""torch.compile of a cell's unrolled loop, in a process of its own: it takes minutes, and may be given up."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks._custom_cells import CUSTOM, parameters_by_name
from benchmarks._timing import time_in_turn, training_step


def measure_compiled(
    name: str, size: tuple[int, ...], seconds: float, threads: int, limit: float
) -> tuple[dict[str, float], str]:
    """Compile times in seconds, and times a call in milliseconds, by name; and why some may be missing.

    Args:
        name: of `CUSTOM`.
        size: (B, T, I, H).
        seconds: for each set of functions timed in turn.
        threads: of torch and recurra.
        limit: seconds after which the process is ended.
    """
    command = [sys.executable, "-m", "benchmarks._compiled_loop", name, *map(str, (*size, seconds, threads))]
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryFile("w+") as output:
        # An empty cache: what an earlier run compiled would be found there.
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
        process = subprocess.Popen(command, stdout=output, env=environment, start_new_session=True)
        try:
            end = "failed" if process.wait(limit) else ""
        except subprocess.TimeoutExpired:
            end = f"over {limit:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the compiler that it runs too
                process.wait()
        output.seek(0)
        return dict(json.loads(line) for line in output), end


def main() -> None:
    name, *numbers = sys.argv[1:]
    batch, steps, inputs, hidden = map(int, numbers[:4])
    seconds, threads = float(numbers[4]), int(numbers[5])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    custom = CUSTOM[name]
    layer = custom.make_layer(inputs, hidden, "native")
    parameters = parameters_by_name(layer)
    x = torch.randn(steps, batch, inputs, requires_grad=True)
    leaves = [x, *layer.parameters()]
    torch.compile(torch.sin)(x.detach())  # what the compiler does once only is not the loop's
    compiled = torch.compile(custom.loop, dynamic=False)
    functions: dict[str, Callable[[], Tensor]] = {
        "loop": lambda: custom.loop(x, parameters),
        "compiled": lambda: compiled(x, parameters),
        "ours": lambda: layer(x)[0],
    }

    def report(kind: str, calls: dict[str, Callable[[], object]]) -> None:
        """Print the time of the first call and then of all."""
        started = time.perf_counter()
        calls["compiled"]()
        print(json.dumps([f"{kind} compile", time.perf_counter() - started]), flush=True)
        for what, taken in zip(calls, time_in_turn(seconds, *calls.values()), strict=True):
            print(json.dumps([f"{kind} {what}", taken * 1e3]), flush=True)

    with torch.no_grad():
        expected = functions["loop"]()
        report("inference", dict(functions))
        torch.testing.assert_close(functions["compiled"](), expected, rtol=1e-3, atol=1e-4)
    report("training", {what: lambda run=run: training_step(run, leaves) for what, run in functions.items()})


if __name__ == "__main__":
    main()
