"""Versions, threads and devices of this machine."""

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

import recurra
from recurra.kernels.native.extension import instruction_sets, is_installed
from recurra.openmp import waiting

__all__ = ["describe_machine"]


def describe_machine() -> dict[str, str]:
    """What a report of a fault, or of a figure, has to say of the machine, by name."""
    return {
        "recurra": recurra.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {platform.system()}",
        "threads": f"{torch.get_num_threads()}; they wait {waiting()}",
        "CUDA device": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "Triton": _triton(),
        "C++ extension": ", ".join(instruction_sets()) or "baseline" if is_installed() else "not installed",
    }


def _triton() -> str:
    try:
        return f"{version('triton')}; the kernels that it compiles have not run on a GPU yet"
    except PackageNotFoundError:
        return "not installed"
