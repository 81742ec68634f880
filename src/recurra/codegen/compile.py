"""A user's cell, compiled at first use with the machine's C++ compiler, and cached on disk by content."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from recurra.cells import Cell
from recurra.codegen.cpp import write_cell
from recurra.errors import CompilerError
from recurra.files import compiled_folder

__all__ = ["compile_library", "find_compiler"]


def compile_library(cell: Cell, headers: Mapping[str, str], vector_bytes: int) -> Path:
    """A shared library with the cell's entries.

    They are `forward32`, `backward32`, `forward64` and `backward64`, and of a step `update`, `modulate` and `prepare`.

    It is cached under `RECURRA_CACHE`, or in the user's cache folder, by a hash of all it is made from. Processes that
    compile the same cell at the same time each write their own file and rename it into place.

    Args:
        cell: the equations.
        headers: of the engine, by name.
        vector_bytes: width of a vector on this machine.

    Raises:
        CellError: if the equations cannot be compiled.
        CompilerError: if there is no compiler, if it fails, or if the cache cannot be written.
    """
    source = _source(cell)
    compiler = find_compiler()
    # What -march=native means depends on the machine, and a cache folder may be shared between machines.
    flags = [
        "-std=c++17",
        "-O3",
        "-fno-math-errno",
        "-march=native",
        "-shared",
        "-fPIC",
        "-fvisibility=hidden",
        "-Wno-psabi",
    ]
    flags += ["-DRECURRA_ISA=user", f"-DRECURRA_VECTOR_BYTES={vector_bytes}"]
    parts = [source, *headers.values(), " ".join(flags), compiler, _processor()]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    library = compiled_folder("cells") / f"{name}.so"
    if _is_whole(library):
        return library
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent, prefix="build-") as folder:
            for header, text in headers.items():
                Path(folder, header).write_text(text, encoding="utf-8")
            Path(folder, "cell.cpp").write_text(source, encoding="utf-8")
            made = Path(folder, "cell.so")
            command = [compiler, *flags, "cell.cpp", "-o", made.name]
            _run(command, folder, cell)
            content = made.read_bytes()
            made.write_bytes(content + hashlib.sha256(content).digest())
            os.replace(made, library)
    except OSError as error:
        raise CompilerError(f"{library.parent}: cannot be written ({error}); set RECURRA_CACHE to a folder") from error
    return library


def find_compiler() -> str:
    """The C++ compiler: `CXX`, or the first of c++, g++ and clang++.

    Raises:
        CompilerError: if there is none.
    """
    for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++"):
        if name and (path := shutil.which(name)):
            return path
    raise CompilerError("no C++ compiler (g++ or clang++) is installed")


def _is_whole(library: Path) -> bool:
    """Whether a library is complete, by the hash at its end: loading a part of one kills the process."""
    try:
        content = library.read_bytes()
    except OSError:
        return False
    size = hashlib.sha256().digest_size
    return hashlib.sha256(content[:-size]).digest() == content[-size:]


def _run(command: list[str], folder: str, cell: Cell) -> None:
    try:
        result = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise CompilerError(f"{command[0]} cannot be run ({error}); set CXX to a C++ compiler") from error
    if result.returncode or not Path(folder, command[-1]).is_file():
        raise CompilerError(f"{command[0]} could not compile {cell!r}: {_first_error(result.stderr)}")


def _source(cell: Cell) -> str:
    entries = "\n".join(
        f'extern "C" __attribute__((visibility("default"))) int {direction}{bits}(const recurra::Call* call, '
        f"recurra::Parallel parallel) {{\n  return recurra::user::Engine<recurra::user::UserCell, {kind}>::{direction}"
        "(call, parallel);\n}"
        for kind, bits in (("float", 32), ("double", 64))
        for direction in ("forward", "backward")
    )
    entries += "".join(
        f'\nextern "C" __attribute__((visibility("default"))) void {name}({parameters}) {{\n'
        f"  recurra::user::StepCell<recurra::user::UserCell>::{name}({arguments});\n}}"
        for name, parameters, arguments in (
            ("update", "const recurra::CellStep* call", "call"),
            ("modulate", "const recurra::CellStep* call", "call"),
            ("prepare", "const float* per_unit, int64_t hidden, float* prepared", "per_unit, hidden, prepared"),
        )
    )
    body = write_cell(cell, "UserCell")
    includes = '#include "engine.hpp"\n#include "step_cell.hpp"\n'
    return f"{includes}\nnamespace recurra {{\nnamespace user {{\n\n{body}\n}}\n}}\n\n{entries}\n"


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _first_error(text: str) -> str:
    return next((line for line in text.splitlines() if "error" in line), text.strip()[:200])
