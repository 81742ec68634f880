"""`recurra info`."""

import platform
from collections.abc import Sequence

import recurra
from recurra.cli.arguments import Parser

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra info` with these arguments."""
    if Parser("recurra info", "Versions, threads and the devices of this machine.").parse(arguments) is None:
        return 0
    import torch

    from recurra.kernels.native.extension import instruction_sets, is_installed
    from recurra.openmp import waiting

    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    extension = ", ".join(instruction_sets()) or "baseline" if is_installed() else "not installed"
    rows = {
        "recurra": recurra.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {platform.system()}",
        "threads": f"{torch.get_num_threads()}; they wait {waiting()}",
        "CUDA device": cuda,
        "C++ extension": extension,
    }
    width = max(map(len, rows))
    print("\n".join(f"{name.ljust(width)}  {value}" for name, value in rows.items()))
    return 0
