"""The numerical check of a model in C: compiled, run over many steps, and compared with the model."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import CompilerError, ExportError
from recurra.export.c.harness import COMPILER_FLAGS, WARNING_FLAGS
from recurra.export.c.reference import Reference, relative_errors

__all__ = ["CCheck", "check", "find_c_compiler"]

# Of values that are rounded to 8 bits, those that lie so near the middle between two whole numbers that the last bits
# of a sum decide: engine and C may round them to different ones. About a fifth of this was measured.
_TIES = 1e-5


@dataclass(frozen=True)
class CCheck:
    """How the outputs of a model in C compare with those of the model.

    Attributes:
        compiler: the compiler's path; empty: there is none, and nothing was compared.
        steps: that were compared.
        largest: the largest error of an output y, relative to the larger of 1 and y's magnitude.
        tolerance: what an error may be.
        fraction_off: of steps, those with a larger error: 0 with float32.
        rounding: with int8, the largest error that 8 bits themselves make.
        alone: whether the C ran alone from the first step; else each step began with the model's own state.
    """

    compiler: str
    steps: int
    largest: float
    tolerance: float
    fraction_off: float
    rounding: float
    alone: bool

    def __str__(self) -> str:
        if not self.compiler:
            return "not checked: this machine has no C compiler (CC, cc, gcc or clang); `make` runs the check elsewhere"
        each = "" if self.alone else ", each from the model's own state"
        text = f"checked over {self.steps:,} steps{each}, compiled by {self.compiler}: "
        if not self.rounding:
            return text + f"largest error {self.largest:.2g}, {self.tolerance:.2g} allowed"
        return text + (
            f"{100 * (1 - self.fraction_off):.4g} % within {self.tolerance:g}; largest error {self.largest:.2g}, "
            f"where 8 bits themselves change {self.rounding:.2g}"
        )


def find_c_compiler() -> str | None:
    """The path of the C compiler: `CC`, or the first of cc, gcc and clang; None: there is none."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and (path := shutil.which(name)):
            return path
    return None


def check(folder: Path, name: str, reference: Reference) -> CCheck:
    """Compile the files in a folder, run them over the steps of a reference, and compare.

    With float32 the C runs alone from the first step, unless the model is so sensitive that moving its parameters by
    their last bit changes the outputs by more than the tolerance. Then, and with int8, each step begins with the
    model's own state. With int8 a value in the middle between two whole numbers may be rounded either way, and such a
    difference would last.

    Raises:
        CompilerError: if the compiler fails.
        ExportError: if the outputs differ by more than is allowed.
    """
    compiler = find_c_compiler()
    if compiler is None:
        return CCheck("", 0, 0.0, reference.tolerance, 0.0, reference.rounding, reference.states is None)
    program = f"{name}_check"
    command = [compiler, *COMPILER_FLAGS, *WARNING_FLAGS, f"{name}.c", f"{program}.c", "-o", program]
    made = _run(command, folder, b"")
    if made.returncode:
        lines = made.stderr.decode(errors="replace").splitlines()
        reason = next((line for line in lines if "error" in line), f"status {made.returncode}")
        raise CompilerError(f"{compiler} could not compile {name}.c: {reason}")
    mode = "run" if reference.states is None else "each"
    ran = _run([str(folder / program), mode], folder, reference.read_bytes())
    expected = reference.expected()
    if ran.returncode or len(ran.stdout) != expected.nbytes:
        raise ExportError(f"{name}: the compiled step failed with status {ran.returncode}; nothing was written")
    errors = relative_errors(np.frombuffer(ran.stdout, np.float32).reshape(expected.shape), expected)
    return _judge(name, compiler, errors, reference)


def _judge(name: str, compiler: str, errors: NDArray[Any], reference: Reference) -> CCheck:
    off = errors > reference.tolerance
    largest, steps, alone = float(errors.max()), len(errors), reference.states is None
    result = CCheck(compiler, steps, largest, reference.tolerance, float(off.mean()), reference.rounding, alone)
    allowed = 0.01 + _TIES * reference.rounded_values if reference.rounding else 0.0
    if result.fraction_off > allowed or largest > max(reference.tolerance, reference.rounding):
        raise ExportError(
            f"{name}: the compiled step differs from the model in {int(off.sum()):,} of {steps:,} steps, first at step "
            f"{int(off.argmax())}, by up to {largest:.2g}, with {reference.tolerance:g} allowed; nothing was written. "
            "If the state of the model grows without bound, pass `inputs` like those of its training."
        )
    return result


def _run(command: list[str], folder: Path, content: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, cwd=folder, input=content, capture_output=True, check=False)
    except OSError as error:
        raise CompilerError(f"{command[0]} cannot be run ({error}); set CC to a C compiler") from error
