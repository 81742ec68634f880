"""Checkpoints: one safetensors file each, its tensors by name and everything else as JSON in its header.

One file is replaced by one rename, so weights, optimiser and counters can never be of different steps.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from recurra.errors import RunError
from recurra.files import write_atomically

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

_FORMAT = 2


@dataclass
class Checkpoint:
    """What is saved.

    Attributes:
        tensors: by name; weights under `model.`, the optimiser's under `optimizer.`, and so on.
        values: what JSON can hold: step, best loss, parameter groups, schedule.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names start with `prefix.`, under the rest of their names."""
        return {
            name[len(prefix) + 1 :]: tensor for name, tensor in self.tensors.items() if name.startswith(f"{prefix}.")
        }

    def add_group(self, prefix: str, tensors: dict[str, Tensor]) -> None:
        """Add tensors under `prefix.`."""
        self.tensors |= {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint whole or not at all, with a checksum of all that is in it.

    Raises:
        RunError: if it cannot be written; the file before it is untouched.
    """
    # Cloned in this format, an empty tensor too has strides by which its bytes can be read.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in checkpoint.tensors.items()
    }
    values = json.dumps(checkpoint.values)
    # Under one name, as safetensors writes several in any order: the same checkpoint is the same bytes.
    header = {"format": _FORMAT, "checksum": _checksum(tensors, values), "values": values}
    content = save(tensors, {"recurra": json.dumps(header)})
    write_atomically(path, lambda aside: aside.write_bytes(content))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        RunError: if the file is missing, damaged (its checksum says so), or of another version.
    """
    if not path.is_file():
        raise RunError(f"{path}: no checkpoint there; the run was not trained, or the path is not a run")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("recurra", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error})") from error
    if header.get("format") != _FORMAT or "values" not in header:
        raise RunError(f"{path}: not of format {_FORMAT}; damaged, or written by another version of Recurra")
    if header.get("checksum") != _checksum(tensors, header["values"]):
        raise RunError(f"{path}: damaged (its content does not match its checksum)")
    return Checkpoint(tensors, json.loads(header["values"]))


def _checksum(tensors: dict[str, Tensor], values: str) -> str:
    digest = hashlib.sha256(values.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
