"""The cells compiled into the package: `python -m recurra.codegen.built_in` writes `csrc/cells.generated.hpp`."""

import sys
from pathlib import Path

from recurra.cells import GRU, LSTM, SLSTM, Cell, CoupledLSTM, Elman, PeepholeLSTM
from recurra.codegen.cpp import write_cell

__all__ = ["BUILT_IN", "write_built_in"]

BUILT_IN: dict[str, Cell] = {
    "ElmanTanh": Elman("tanh"),
    "ElmanRelu": Elman("relu"),
    "ElmanSigmoid": Elman("sigmoid"),
    "GatedRecurrentUnit": GRU(),
    "LongShortTermMemory": LSTM(),
    "PeepholeMemory": PeepholeLSTM(),
    "CoupledMemory": CoupledLSTM(),
    "ExponentialMemory": SLSTM(),
}


def write_built_in() -> str:
    """The header with every built-in cell."""
    cells = "\n".join(write_cell(cell, name) for name, cell in BUILT_IN.items())
    entries = " \\\n".join(f'  X({name}, "{cell!r}")' for name, cell in BUILT_IN.items())
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
