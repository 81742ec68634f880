"""A trained network on its way to other programs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recurra.files import prepare_folder, write_atomically, write_text
from recurra.task.results import Result

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Export"]


@dataclass(frozen=True, eq=False)
class Export(Result):
    """A network to be written: `write(folder)` writes and checks it.

    Attributes:
        network: of the estimator.
        facts: what a program beside it has to know; ONNX holds them, and `NAME.json` beside C and TorchScript.
        to: "c", "onnx" or "torch".
        name: of the files.
        weights: of C.
        weights_in: of C.
        files: what else a program needs, such as a subword model, by the end of the file's name.
    """

    network: "nn.Module"
    facts: dict[str, Any]
    to: Literal["c", "onnx", "torch"]
    name: str
    weights: str
    weights_in: str
    files: dict[str, bytes] = field(default_factory=dict)

    def text(self, color: bool = False) -> Iterator[str]:
        yield from ()

    def default_path(self, folder: Path) -> Path:
        return folder / "export"

    def write(self, path: str | Path) -> list[Path]:
        """Write into a folder, which is created if it is missing; see `Result.write`.

        Raises:
            ExportError: the network has no such form, or what was written differs from it.
        """
        folder = Path(path)
        prepare_folder(folder)
        written = self._write_onnx(folder) if self.to == "onnx" else self._write_with_facts(folder)
        for ending, content in self.files.items():
            path = folder / f"{self.name}{ending}"
            write_atomically(path, lambda aside, content=content: aside.write_bytes(content))
            written.append(path)
        return written

    def _write_onnx(self, folder: Path) -> list[Path]:
        from recurra.export.onnx import export_onnx, export_onnx_step, export_translation, translates

        if translates(self.network):
            both = export_translation(self.network, folder, self.name, self.facts)
            print(both)
            return [both.encoder.path, both.decoder.path]
        write = export_onnx_step if self._has_step_alone() else export_onnx
        done = write(self.network, folder / f"{self.name}.onnx", metadata=self.facts)
        print(done)
        return [done.path]

    def _write_with_facts(self, folder: Path) -> list[Path]:
        facts = folder / f"{self.name}.json"
        if self.to == "torch":
            from recurra.export.torch_script import export_torch, export_torch_step

            path = folder / f"{self.name}.pt"
            if self._has_step_alone():
                script = export_torch_step(self.network, path)
            else:
                script = export_torch(self.network, path, **self._torch_options())
            print(script)
            files = [script.path]
        else:
            from recurra.export.c import export_c

            files = list(export_c(self.network, folder, self.name, self.weights, self.weights_in).files)
        write_text(facts, json.dumps(self.facts, ensure_ascii=False, indent=1) + "\n")
        return [*files, facts]

    def _has_step_alone(self) -> bool:
        """Whether the network has a form step by step and none over sequences, as one with a stack of blocks."""
        from recurra.export.recurrent_modules import has_blocks
        from recurra.program.lowering import has_lowering

        return has_blocks(self.network) and has_lowering(self.network)

    def _torch_options(self) -> dict[str, Any]:
        """An example of the inputs, and whether lengths are an argument, for a network that reads features."""
        import torch

        size = getattr(self.network, "input_size", None)
        return {} if size is None else {"example": torch.zeros(2, 5, size), "lengths": True}
