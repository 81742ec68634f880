"""Devices by name."""

import torch

from recurra.errors import ParameterError

__all__ = ["check_device", "usable_device"]


def check_device(name: str) -> None:
    """Refuse a device that is not there.

    Raises:
        ParameterError: for CUDA if there is none.
    """
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ParameterError("device", "'cpu', as this machine has no CUDA", name)


def usable_device(name: str) -> torch.device:
    """The device of a name; the CPU where it is not there, so that what was trained on a GPU runs anywhere."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda" if name == "auto" else name)
