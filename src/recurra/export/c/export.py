"""A model written as C99 for a device, checked against the model."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn

from recurra.errors import ParameterError
from recurra.export.c.check import CCheck, check
from recurra.export.c.harness import harness, makefile, makefile_title
from recurra.export.c.identifiers import check_name
from recurra.export.c.reference import make_reference
from recurra.export.c.sources import Description, header, source
from recurra.export.c.step import Step
from recurra.files import prepare_folder, write_atomically
from recurra.program import Program, compile_program
from recurra.shapes import check_positive

__all__ = ["CExport", "describe", "export_c"]

_FORMATS = ("float32", "int8")
_WEIGHTS_IN = ("source", "binary")


@dataclass(frozen=True)
class CExport:
    """What was written.

    Attributes:
        files: their paths.
        check: how the outputs in C compare with the model's.
        state_bytes: of the state of a stream.
        weight_bytes: of all constants.
        stack_bytes: of the scratch memory of a step.
    """

    files: tuple[Path, ...]
    check: CCheck
    state_bytes: int
    weight_bytes: int
    stack_bytes: int


def export_c(
    model: nn.Module | Program,
    folder: str | Path,
    name: str,
    weights: str = "float32",
    weights_in: str = "source",
    *,
    input_size: int | None = None,
    inputs: NDArray[Any] | None = None,
    steps: int = 10_000,
) -> CExport:
    """Write one step of a model as C99: NAME.h, NAME.c, NAME_check.c, a Makefile, and NAME.bin on request.

    The C needs no library, allocates nothing, and has fixed sizes: `NAME_reset(&state)`, then
    `NAME_step(&state, input, output)` for each step; `NAME_state_size()` is the size of a state, a struct of numbers in
    the order of `StreamState.values`. Where a C compiler is installed, it is compiled and compared with a `Stepper` of
    the same model over `steps` steps; the result is printed. If they differ, nothing is written.

    Args:
        model: a module that can run one step at a time, see `recurra.program.compile_program`, or its program.
        folder: where to write; created if it is missing.
        name: of the files, and prefix of the functions: small letters, digits and underscores.
        weights: the format of the weights of products: "float32", or "int8", where a step's values are rounded to 8
            bits too.
        weights_in: "source": constants stand in NAME.c. "binary": in NAME.bin, which a program loads at any address
            and hands to `NAME_weights_of` and `NAME_step`.
        input_size: I, where the model's first module does not say it.
        inputs: (T, I) or, of ids, (T,): steps of real data for the check, repeated as needed; if None, random ones.
        steps: T of the check.

    Raises:
        ParameterError: for a parameter out of its range, or a folder with a Makefile of something else.
        ShapeError: for `inputs` of another shape.
        StreamError: if the model cannot run one step at a time, or has weights that are not finite.
        BackendError: if the C++ extension or a compiled cell is missing, which the check runs.
        CompilerError: if the C compiler fails.
        ExportError: if an output y in C differs from the model's by more than 1e-5, relative to the larger of 1 and y's
            magnitude, and by more than the model's own outputs do when its parameters are rounded otherwise; with int8,
            if too many steps differ so, or one by more than 8 bits make.
        RunError: if the folder cannot be written.
    """
    check_positive("steps", steps)
    check_name(name)
    folder = Path(folder)
    _check_makefile(folder / "Makefile", name)
    d = describe(model, name, weights, weights_in, input_size)
    program = d.program
    reference = make_reference(program, weights, inputs, steps)
    texts = {
        f"{name}.h": header(d).encode(),
        f"{name}.c": source(d).encode(),
        f"{name}_check.c": harness(d, reference.recorded).encode(),
        "Makefile": makefile(d).encode(),
    }
    if not d.step.arrays.in_source:
        texts[f"{name}.bin"] = d.step.arrays.content()
    with tempfile.TemporaryDirectory(prefix="recurra-c-") as aside:
        for file, content in texts.items():
            Path(aside, file).write_bytes(content)
        result = check(Path(aside), name, reference)
    print(f"{name}.c: {result}")
    prepare_folder(folder)
    for file, content in texts.items():
        write_atomically(folder / file, lambda path, content=content: path.write_bytes(content))
    written = tuple(folder / file for file in texts)
    return CExport(written, result, 4 * program.state_size, d.step.arrays.num_bytes, d.stack_bytes)


def describe(
    model: nn.Module | Program,
    name: str,
    weights: str = "float32",
    weights_in: str = "source",
    input_size: int | None = None,
) -> Description:
    """What the files of a model are written from; for the arguments see `export_c`.

    Raises:
        ParameterError: for a parameter out of its range.
        StreamError: if the model cannot run one step at a time.
    """
    check_name(name)
    for parameter, value, allowed in (("weights", weights, _FORMATS), ("weights_in", weights_in, _WEIGHTS_IN)):
        if value not in allowed:
            raise ParameterError(parameter, f"one of {', '.join(allowed)}", value)
    title = type(model).__name__ if isinstance(model, nn.Module) else "a program"
    program = model if isinstance(model, Program) else compile_program(model, input_size)
    return Description(name, program, Step(program, weights, weights_in == "source"), weights, _title(program, title))


def _check_makefile(path: Path, name: str) -> None:
    """Refuse a folder whose Makefile would be replaced by that of another model."""
    try:
        known = path.read_text(encoding="utf-8", errors="replace").startswith(makefile_title(name))
    except OSError:
        return
    if not known:
        expected = f"a folder for the files of {name!r} alone"
        raise ParameterError("folder", expected, str(path.parent), "It has a Makefile of something else.")


def _title(program: Program, title: str) -> str:
    cells = [type(one.cell).__name__ for one in program.operations if one.kind == "update" and one.cell is not None]
    layers = ", ".join(f"{cells.count(cell)} x {cell}" for cell in dict.fromkeys(cells))
    return f"{title} with {layers}" if layers else title
