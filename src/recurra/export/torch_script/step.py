"""One step of a model as TorchScript, with its state in the caller's hands."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.export.recurrent_modules import evaluated
from recurra.export.step import TorchArithmetic, check_step, walk
from recurra.export.torch_script.export import TorchExport
from recurra.export.torch_script.loop import tracing
from recurra.files import write_atomically
from recurra.program import Program, compile_program

__all__ = ["export_torch_step"]


def export_torch_step(model: nn.Module, path: str | Path, *, input_size: int | None = None) -> TorchExport:
    """Write one step of a model that streams as TorchScript, in float32: also of a stack of blocks.

    `forward(input, state_0)` takes features (B, I), or ids (B,) of int64, and the state (B, S); it returns the output
    (B, O) and the state after the step. B is dynamic. The state is that of a `recurra.Stepper`, whose `new_state` is
    the first; the extra file "recurra.json" has its first values and its parts by name. The file is written only if it
    computes what the engine does, step by step, at two batch sizes.

    Args:
        model: as `recurra.Stepper` takes it. It is not changed.
        path: of the file.
        input_size: I, if the first module of the model does not say it.

    Raises:
        ParameterError: `model` is not a module.
        StreamError: the model cannot run one step at a time.
        ExportError: what was made does not agree with the model. Nothing is written.
        BackendError: the C++ extension, which it is compared with, is missing.
        RunError: the file cannot be written.
    """
    program = compile_program(evaluated(model) if isinstance(model, nn.Module) else model, input_size)
    names = ("input", "state_0") if program.parts else ("input",)
    x = torch.zeros(2, program.input_size)
    example = [torch.zeros(2, dtype=torch.int64) if program.vocabulary_size else x]
    if program.parts:
        example.append(torch.from_numpy(program.initial).repeat(2, 1))
    with tracing():
        script = torch.jit.trace(_Step(program), tuple(example), check_trace=False)
        buffer = BytesIO()
        torch.jit.save(script, buffer, _extra_files={"recurra.json": json.dumps(_described(program))})
        loaded = torch.jit.load(BytesIO(buffer.getvalue()))
    outputs = ("output", "state_n")[: len(names)]

    def run(inputs: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        results = loaded(*(torch.from_numpy(inputs[name]) for name in names))
        return {name: result.numpy() for name, result in zip(outputs, results, strict=True)}

    checks = check_step(program, run, "TorchScript")
    target, content = Path(path), buffer.getvalue()
    write_atomically(target, lambda aside: aside.write_bytes(content))
    return TorchExport(target, len(content), names, outputs, checks)


class _Step(nn.Module):
    def __init__(self, program: Program) -> None:
        super().__init__()
        self._program = program

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, ...]:
        output, after = walk(self._program, TorchArithmetic(), inputs, state)
        return (output,) if after is None else (output, after)


def _described(program: Program) -> dict[str, object]:
    parts = [{"name": part.name, "offset": part.offset, "size": part.size} for part in program.parts]
    return {"parts": parts, "first_state": program.initial.tolist()}
