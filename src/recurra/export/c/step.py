"""The step of a program as calls of functions in C."""

import re
from typing import Any

import torch

from recurra.cells import Cell
from recurra.codegen import (
    CFunction,
    evaluate,
    literal,
    maths,
    prepared,
    trace,
    write_c_modulated,
    write_c_update,
)
from recurra.export.c.arrays import Arrays, rounded_rows, stored_blocks
from recurra.export.c.memory import Memory
from recurra.export.c.operations import OPERATIONS
from recurra.program import NOWHERE, Operation, Program

__all__ = ["Step"]

_BY_VALUE = {
    "tanh": "apply_tanh",
    "sigmoid": "apply_sigmoid",
    "relu": "apply_relu",
    "silu": "apply_silu",
    "gelu": "apply_gelu",
    "exp": "apply_exp",
    "log": "apply_log",
    "softmax": "softmax",
    "log_softmax": "log_softmax",
    "largest": "running_largest",
}


class Step:
    """The statements of a step, the functions that they call, and the arrays that they read.

    Args:
        program: the operations.
        weights: "float32" or "int8": the format of the weights of products.
        in_source: whether the arrays stand in the source.

    Attributes:
        memory: the names of locations.
        arrays: constants.
        statements: the calls, in order.
        most_rows: the largest number of rows of a weight.
        most_columns: the largest number of columns.
    """

    def __init__(self, program: Program, weights: str, in_source: bool) -> None:
        self.memory = Memory(program)
        self.arrays = Arrays(in_source)
        self.statements: list[str] = []
        self.most_rows = self.most_columns = 0
        self._rounds = weights == "int8"
        self._used: set[str] = set()
        self._cells: dict[tuple[Any, ...], tuple[str, CFunction]] = {}
        for number, operation in enumerate(program.operations):
            self._add(operation, f"{operation.kind}_{number}")
        # A reset writes the state.
        self._used |= {"copy" if isinstance(part.initial, tuple) else "fill" for part in program.parts}

    def functions(self) -> list[str]:
        """The definitions of all functions that are called, in an order that C accepts."""
        used = self._used | {needed for name in self._used for needed in OPERATIONS[name].needs}
        called = {name for one in used for name in OPERATIONS[one].maths}
        called |= {name for _, function in self._cells.values() for name in function.calls}
        return [
            *maths(called),
            *(operation.text for name, operation in OPERATIONS.items() if name in used),
            *(function.text for _, function in self._cells.values()),
        ]

    def _call(self, function: str, *arguments: object) -> None:
        if function in OPERATIONS:
            self._used.add(function)
        self.statements.append(f"{function}({', '.join(map(str, arguments))});")

    def _add(self, operation: Operation, name: str) -> None:
        size, groups, at = operation.size, operation.groups, self.memory.at
        a, y = (at(location) if location != NOWHERE else "" for location in (operation.first, operation.target))
        b = at(operation.second) if operation.second != NOWHERE else ""
        match operation.kind:
            case "dense":
                self._dense(operation, name, a, y)
            case "diagonal":
                assert operation.left is not None
                self._start(operation, f"{name}_bias", operation.right, groups * size, y)
                self._call("add_diagonal", groups, size, self.arrays.add(f"{name}_weight", operation.left), a, y)
            case "normalise":
                self._call("normalise", groups, size, literal(operation.number), *self._vectors(operation, name), a, y)
            case "rms_normalise":
                factor, _ = self._vectors(operation, name)
                self._call("rms_normalise", size, literal(operation.number), factor, a, y)
            case "modulate" | "update":
                self._cell(operation, name, a, b, y)
            case "embed":
                assert operation.left is not None
                table = self.arrays.add(f"{name}_table", operation.left, f"{operation.left.size // size} by {size}")
                self._call("copy", size, f"{table} + {size} * symbol", y)
            case "scale":
                self._call("scale", size, *self._vectors(operation, name), a, y)
            case "add" | "multiply":
                self._call(operation.kind, size, a, b, y)
            case "blend":
                if operation.number or operation.first != operation.target:
                    self._call("blend", size, literal(operation.number), a, b, y)
            case "mean":
                self._call("running_mean", size, a, b, y)
            case "attend":
                self._call("attend", size, a, b, *(at(part) for part in operation.parts), y)
            case "local_attention":
                cosine, sine = (
                    self.arrays.add(f"{name}_{part}", array)
                    for part, array in (("cosine", operation.left), ("sine", operation.right))
                    if array is not None
                )
                sizes = (groups, operation.kv_heads, size, operation.window)
                self._call("local_attention", *sizes, cosine, sine, a, b, *map(at, operation.parts), y)
            case "matrix_memory":
                self._call("matrix_memory", groups, size, a, b, *map(at, operation.parts), y)
            case "delay":
                self._call("delay", groups, size, a, y)
            case "copy":
                for first, target, count in self.memory.pieces(operation):
                    if at(first) != at(target):
                        self._call("copy", count, at(first), at(target))
            case _:
                self._call(_BY_VALUE[operation.kind], size, a, y)

    def _vectors(self, operation: Operation, name: str) -> tuple[str, str]:
        assert operation.left is not None
        factor = self.arrays.add(f"{name}_factor", operation.left)
        return factor, "NULL" if operation.right is None else self.arrays.add(f"{name}_shift", operation.right)

    def _start(self, operation: Operation, name: str, bias: Any, size: int, y: str) -> None:
        """Set the target to the bias, unless the result is added to what it holds."""
        if operation.accumulate:
            return
        if bias is None:
            self._call("fill", size, "0.0f", y)
        else:
            self._call("copy", size, self.arrays.add(name, bias), y)

    def _dense(self, operation: Operation, name: str, a: str, y: str) -> None:
        assert operation.weight is not None
        rows, columns = operation.weight.shape
        self.most_rows, self.most_columns = max(rows, self.most_rows), max(columns, self.most_columns)
        self._start(operation, f"{name}_bias", operation.bias, rows, y)
        weight, scales = rounded_rows(operation.weight) if self._rounds else (operation.weight, None)
        if not weight.any():
            return
        own_scales = [] if scales is None else [self.arrays.add(f"{name}_scales", scales)]
        if stored := stored_blocks(weight):
            comment = f"{rows} rows, {columns} columns, without blocks of zeros"
            runs, values = (
                self.arrays.add(f"{name}_{part}", array, comment)
                for part, array in zip(("runs", "weight"), stored, strict=True)
            )
            sizes = (rows, columns) if self._rounds else (rows,)
            function = "add_sparse_rounded_product" if self._rounds else "add_sparse_product"
            self._call(function, *sizes, runs, values, *own_scales, a, y)
        else:
            values = self.arrays.add(f"{name}_weight", weight.T, f"{rows} rows, {columns} columns, by column")
            function = "add_rounded_product" if self._rounds else "add_product"
            self._call(function, rows, columns, values, *own_scales, a, y)

    def _cell(self, operation: Operation, name: str, a: str, b: str, y: str) -> None:
        cell = operation.cell
        assert cell is not None
        separate = operation.target != operation.parts[0]
        if operation.kind == "modulate":
            key = (cell, "modulated")
            function_name, function = self._function(key, lambda new: write_c_modulated(cell, new))
        else:
            options = (operation.first != NOWHERE, operation.zoneout, operation.reads_output, separate)
            function_name, function = self._function(
                (cell, "update", *options),
                lambda new: write_c_update(
                    cell,
                    new,
                    has_x=options[0],
                    zoneout=operation.zoneout,
                    reads_output=operation.reads_output,
                    separate_output=separate,
                ),
            )
        arguments = {"x": a, "u": b, "output": y}
        arguments |= {f"state_{part}": self.memory.at(at) for part, at in zip(cell.state, operation.parts, strict=True)}
        if "prepared" in function.parameters:
            arguments["prepared"] = self.arrays.add(f"{name}_per_unit", _prepared_values(cell, operation))
        self._call(function_name, operation.size, *(arguments[parameter] for parameter in function.parameters))

    def _function(self, key: tuple[Any, ...], write: Any) -> tuple[str, CFunction]:
        """The function of a cell, written once."""
        if key not in self._cells:
            plain = f"{_snake_case(type(key[0]).__name__)}_{key[1]}"
            taken = {name for name, _ in self._cells.values()}
            name = plain if plain not in taken else f"{plain}_{len(self._cells)}"
            self._cells[key] = name, write(name)
        return self._cells[key]


def _prepared_values(cell: Cell, operation: Operation) -> Any:
    """What follows from the per-unit parameters alone, (Q, H)."""
    assert operation.per_unit is not None
    rows = torch.from_numpy(operation.per_unit).double()
    inputs = {("p", name): row for name, row in zip(cell.per_unit, rows, strict=True)}
    return torch.stack(evaluate(prepared(trace(cell)), inputs)).float().numpy()


def _snake_case(name: str) -> str:
    """A name in small letters: "layer_norm_gru" for "LayerNormGRU"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", re.sub(r"[^A-Za-z0-9_]", "_", name))
    return words.strip("_").lower() or "cell"
