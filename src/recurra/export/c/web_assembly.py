"""A model's step in C as a module of WebAssembly, which a browser runs."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from recurra.errors import CompilerError
from recurra.export.c.export import describe
from recurra.export.c.harness import WARNING_FLAGS, web_assembly_flags
from recurra.export.c.sources import header, source
from recurra.files import compiled_folder
from recurra.program import Program

__all__ = ["WebAssembly", "compile_web_assembly", "has_web_assembly_compiler"]


@dataclass(frozen=True)
class WebAssembly:
    """What a program that runs WebAssembly loads.

    Attributes:
        code: a module that exports the functions of NAME.h, `memory`, and `__heap_base`, from where the memory is free.
        weights: the content of NAME.bin, for `NAME_weights_of`; empty: the functions take no weights.
    """

    code: bytes
    weights: bytes


def has_web_assembly_compiler() -> bool:
    """Whether clang and the linker that it calls for WebAssembly are installed."""
    return shutil.which("clang") is not None and shutil.which("wasm-ld") is not None


def compile_web_assembly(model: nn.Module | Program, name: str) -> WebAssembly:
    """Compile the NAME.c that `export_c` writes with its weights in NAME.bin.

    The module is cached under `RECURRA_CACHE`, or in the user's cache folder, by a hash of its source and the compiler.
    Weights in the source would take clang a hundred times their size of memory.

    Args:
        model: as for `export_c`.
        name: prefix of the functions.

    Raises:
        ParameterError: for a name that is none in C.
        StreamError: if the model cannot run one step at a time.
        CompilerError: if there is no clang with wasm-ld, if it fails, or if the cache cannot be written.
    """
    if not has_web_assembly_compiler():
        raise CompilerError("clang with its linker wasm-ld is not installed (on Debian: apt install clang lld)")
    d = describe(model, name, weights_in="binary")
    texts = {f"{name}.h": header(d), f"{name}.c": source(d)}
    command = [shutil.which("clang") or "clang", *web_assembly_flags(d), *WARNING_FLAGS, f"{name}.c", "-o", "made.wasm"]
    parts = [*texts.values(), *command, _version(command[0])]
    folder = compiled_folder("web_assembly")
    path = folder / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}.wasm"
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as aside:
                for file, text in texts.items():
                    Path(aside, file).write_text(text, encoding="utf-8")
                _run(command, aside)
                os.replace(Path(aside, "made.wasm"), path)
        except OSError as error:
            raise CompilerError(f"{folder}: cannot be written ({error}); set RECURRA_CACHE to a folder") from error
    return WebAssembly(path.read_bytes(), b"" if d.step.arrays.in_source else d.step.arrays.content())


def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


def _run(command: list[str], folder: str) -> None:
    ran = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ran.returncode:
        reason = next((line for line in ran.stderr.splitlines() if "error" in line), f"status {ran.returncode}")
        raise CompilerError(f"{command[0]} could not compile {command[-3]} for WebAssembly: {reason}")
