"""A training step of the recurrent transducer's loss and its joiner: time, and memory at its peak.

Each implementation runs in a process of its own, on the same numbers; their losses and gradients are compared first.
"plain torch" is a loop over the frames with a cumulative sum over labels; "torchaudio" its `rnnt_loss`, left out if it
cannot be imported; "padded" and "packed" are `recurra.transducer_loss` of (B, T, U + 1, V) and (N, V) logits; "joined"
is `recurra.joined_transducer_loss`. "Alone" is the loss and its gradient from logits that are there. Memory is what
the process has grown by in a step with the joiner, its gradients among it.
"""

import json
import subprocess
import sys
from argparse import ArgumentParser, Namespace

from benchmarks._command import run_alone
from benchmarks._report import Report
from benchmarks._transducer_peer import KINDS

# B, T, U, V, J: characters of short utterances, and subwords of long ones.
SIZES = {"characters": (16, 120, 30, 30, 256), "subwords": (8, 250, 60, 1000, 512)}


def add_options(parser: ArgumentParser) -> None:
    """None of its own."""


def measure(options: Namespace, report: Report) -> None:
    for name, sizes in SIZES.items():
        table = report.table(
            f"Transducer, {name}: (B, T, U, V, J) = {sizes}",
            {
                "loss": "12s",
                "with its joiner: ms": "8.1f",
                "with its joiner: ratio": "6.2f",
                "alone: ms": "8.1f",
                "alone: ratio": "6.2f",
                "memory: MiB": "8.0f",
                "memory: ratio": "6.2f",
            },
        )
        results = {kind: _run(kind, options, sizes) for kind in KINDS}
        plain = results["plain torch"]
        for kind, result in results.items():
            if result is None:
                table.add(kind, *[None] * 6)
                continue
            assert plain is not None
            for part in ("loss", "gradient"):
                if abs(result[part] - plain[part]) > 1e-3 * abs(plain[part]):
                    raise SystemExit(f"{kind}: {part} {result[part]}, plain torch has {plain[part]}")
            alone = result.get("alone")
            table.add(
                kind,
                1000 * result["seconds"],
                plain["seconds"] / result["seconds"],
                None if alone is None else 1000 * alone,
                None if alone is None else plain["alone"] / alone,
                result["bytes"] / 2**20,
                plain["bytes"] / result["bytes"],
            )


def _run(kind: str, options: Namespace, sizes: tuple[int, ...]) -> dict[str, float] | None:
    """What one process measured; None if torchaudio cannot be imported."""
    arguments = [kind, str(options.threads), str(options.seconds), *map(str, sizes)]
    command = [sys.executable, "-m", "benchmarks._transducer_peer", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout)
    if kind == "torchaudio" and "torchaudio" in done.stderr:
        return None
    raise SystemExit(done.stderr)


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
