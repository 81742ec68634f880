"""The cells compiled into the package: `python -m recurra.codegen.built_in` writes `csrc/cells.generated.hpp`."""

import sys
from dataclasses import fields
from itertools import product
from pathlib import Path

from recurra.cells import Cell
from recurra.cells.cell import REGISTRY
from recurra.codegen.cpp import digest, write_cell

__all__ = ["built_in", "write_built_in"]


def built_in() -> dict[str, Cell]:
    """The cells compiled into the package, by the name of their C++ struct: the class, then its options' `choices`.

    Cells of the same update share the struct with the shortest name. Layer normalisation, heads and a projected output
    are the engine's.
    """
    named: dict[str, Cell] = {}
    for kind in (kind for kind in REGISTRY.values() if kind.built_in):
        choices = {field.name: field.metadata["choices"] for field in fields(kind) if "choices" in field.metadata}
        for values in product(*choices.values()):
            name = kind.__name__ + "".join(str(value).title() for value in values)
            named[name] = kind(**dict(zip(choices, values, strict=True)))
    shortest: dict[str, str] = {}
    for name in sorted(named, key=lambda name: (len(name), name)):
        shortest.setdefault(digest(named[name]), name)
    return {name: named[name] for name in sorted(shortest.values())}


def write_built_in() -> str:
    """The header with every built-in cell."""
    compiled = built_in()
    cells = "\n".join(write_cell(cell, name) for name, cell in compiled.items())
    entries = " \\\n".join(f'  X({name}, "{digest(cell)}")' for name, cell in compiled.items())
    return (
        "// Written by python -m recurra.codegen.built_in from the equations in recurra/cells; do not edit.\n"
        "#pragma once\n\n"
        '#include "vector.hpp"\n\n'
        "namespace recurra {\nnamespace RECURRA_ISA {\n\n"
        f"{cells}\n"
        "}  // namespace RECURRA_ISA\n}  // namespace recurra\n\n"
        f"#define RECURRA_CELLS(X) \\\n{entries}\n"
    )


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "csrc/cells.generated.hpp").write_text(write_built_in(), "utf-8")
