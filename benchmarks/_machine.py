"""Where and when figures were measured."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import torch

import recurra
from recurra.kernels.native.extension import instruction_sets


def describe_machine() -> dict[str, str | int]:
    """Processor, software and date, for whoever compares figures."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "instruction sets": ", ".join(instruction_sets()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "recurra": recurra.__version__,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
