"""The cells compiled into the package: `python -m recurra.codegen.built_in` writes `csrc/cells.generated.hpp`."""

import sys
from pathlib import Path

from recurra import cells
from recurra.cells import Cell
from recurra.codegen.cpp import digest, write_cell

__all__ = ["BUILT_IN", "write_built_in"]

# Cells of the same update share one: layer normalisation, heads and a projected output are the engine's.
BUILT_IN: dict[str, Cell] = {
    "ElmanTanh": cells.Elman("tanh"),
    "ElmanRelu": cells.Elman("relu"),
    "ElmanSigmoid": cells.Elman("sigmoid"),
    "GatedRecurrentUnit": cells.GRU(),
    "LongShortTermMemory": cells.LSTM(),
    "PeepholeMemory": cells.PeepholeLSTM(),
    "CoupledMemory": cells.CoupledLSTM(),
    "ExponentialMemory": cells.SLSTM(),
    "ResetBefore": cells.GRUResetBefore(),
    "IndependentRelu": cells.IndRNN("relu"),
    "IndependentTanh": cells.IndRNN("tanh"),
    "MinimalGatedUnit": cells.MGU(),
    "SimpleRecurrentUnit": cells.SRU(),
    "MinimalGRU": cells.MinGRU(),
    "MinimalLSTM": cells.MinLSTM(),
    "RealGated": cells.RGLRU(),
    "FastGated": cells.FastGRNN(),
    "ClosedForm": cells.CfC(),
}


def write_built_in() -> str:
    """The header with every built-in cell."""
    cells = "\n".join(write_cell(cell, name) for name, cell in BUILT_IN.items())
    entries = " \\\n".join(f'  X({name}, "{digest(cell)}")' for name, cell in BUILT_IN.items())
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
