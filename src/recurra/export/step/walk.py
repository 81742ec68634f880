"""The operations of a program, one after another, in any arithmetic."""

import math
from typing import Any

import numpy as np

from recurra.cells import Cell
from recurra.codegen import trace
from recurra.export.step.arithmetic import Arithmetic
from recurra.program import NOWHERE, Location, Operation, Program
from recurra.program.operations import Array

__all__ = ["walk"]

_LARGEST = 80.0  # of an exponent, as in the engine
_LOWEST = float(np.finfo(np.float32).min)


def walk(program: Program, arithmetic: Arithmetic, inputs: Any, state: Any) -> tuple[Any, Any]:
    """One step.

    Args:
        program: its operations.
        arithmetic: of the form.
        inputs: (B, I), or ids (B,).
        state: (B, S); it is not read if the program has none.

    Returns:
        The output (B, O) and the state after the step (B, S), None if there is none.
    """
    return _Walk(program, arithmetic, inputs, state).run()


class _Memory:
    """The vectors of a space, as they were written: pieces, which are cut and joined where they are read otherwise."""

    def __init__(self, arithmetic: Arithmetic) -> None:
        self._arithmetic = arithmetic
        self._pieces: dict[int, tuple[int, Any]] = {}

    def read(self, first: int, size: int) -> Any:
        parts = []
        for begin, (count, value) in sorted(self._pieces.items()):
            low, high = max(begin, first), min(begin + count, first + size)
            if low < high:
                whole = (low, high) == (begin, begin + count)
                parts.append(value if whole else self._arithmetic.part(value, low - begin, high - low))
        return parts[0] if len(parts) == 1 else self._arithmetic.concat(parts)

    def write(self, first: int, size: int, value: Any) -> None:
        for begin, (count, old) in list(self._pieces.items()):
            end = begin + count
            if begin >= first + size or end <= first:
                continue
            del self._pieces[begin]
            for low, high in ((begin, first), (first + size, end)):
                if low < high:
                    self._pieces[low] = high - low, self._arithmetic.part(old, low - begin, high - low)
        self._pieces[first] = size, value


class _Walk:
    def __init__(self, program: Program, arithmetic: Arithmetic, inputs: Any, state: Any) -> None:
        self._program, self._a, self._inputs = program, arithmetic, inputs
        self._memory = {space: _Memory(arithmetic) for space in ("input", "frame", "state", "output")}
        if not program.vocabulary_size:
            self._memory["input"].write(0, program.input_size, inputs)
        for part in program.parts:
            self._memory["state"].write(part.offset, part.size, arithmetic.part(state, part.offset, part.size))

    def run(self) -> tuple[Any, Any]:
        for operation in self._program.operations:
            self._apply(operation)
        state = [self._memory["state"].read(part.offset, part.size) for part in self._program.parts]
        output = self._memory["output"].read(0, self._program.output_size)
        return output, self._a.concat(state) if state else None

    def _read(self, location: Location, size: int) -> Any:
        return self._memory[location.space].read(location.offset, size)

    def _write(self, location: Location, size: int, value: Any) -> None:
        self._memory[location.space].write(location.offset, size, value)

    def _number(self, number: float) -> Any:
        return self._a.constant(np.array(number, np.float32))

    def _plus(self, value: Any, other: Any) -> Any:
        return self._a.binary("add", value, other)

    def _times(self, value: Any, other: Any) -> Any:
        return self._a.binary("multiply", value, other)

    def _apply(self, o: Operation) -> None:
        a = self._a
        match o.kind:
            case "dense":
                self._dense(o)
            case "diagonal":
                self._diagonal(o)
            case "normalise" | "rms_normalise":
                self._normalise(o)
            case "modulate" | "update":
                self._cell(o)
            case "embed":
                assert o.left is not None
                self._write(o.target, o.size, a.rows(o.left.reshape(-1, o.size), self._inputs))
            case "mean":
                count = self._plus(self._read(o.second, 1), self._number(1))
                mean = self._read(o.target, o.size)
                step = a.binary("divide", a.binary("subtract", self._read(o.first, o.size), mean), count)
                self._write(o.second, 1, count)
                self._write(o.target, o.size, self._plus(mean, step))
            case "largest":
                largest = a.binary("maximum", self._read(o.target, o.size), self._read(o.first, o.size))
                self._write(o.target, o.size, largest)
            case "attend":
                self._attend(o)
            case "delay":
                newest = self._read(o.first, o.size)
                if o.groups > 1:
                    window = self._read(o.target, o.groups * o.size)
                    newest = a.concat([a.part(window, o.size, (o.groups - 1) * o.size), newest])
                self._write(o.target, o.groups * o.size, newest)
            case "local_attention":
                self._local_attention(o)
            case "matrix_memory":
                self._matrix_memory(o)
            case _:
                self._write(o.target, o.size, self._by_value(o))

    def _by_value(self, o: Operation) -> Any:
        a, x = self._a, self._read(o.first, o.size)
        match o.kind:
            case "copy":
                return x
            case "silu":
                return self._times(x, a.unary("sigmoid", x))
            case "gelu":
                phi = self._plus(a.unary("erf", self._times(x, self._number(math.sqrt(0.5)))), self._number(1))
                return self._times(self._times(x, phi), self._number(0.5))
            case "softmax" | "log_softmax":
                return a.softmax(x, logarithm=o.kind == "log_softmax")
            case "scale":
                assert o.left is not None
                scaled = self._times(x, a.constant(o.left))
                return scaled if o.right is None else self._plus(scaled, a.constant(o.right))
            case "add" | "multiply":
                return a.binary(o.kind, x, self._read(o.second, o.size))
            case "blend":
                if not o.number:
                    return x
                difference = a.binary("subtract", self._read(o.second, o.size), x)
                return self._plus(x, self._times(difference, self._number(o.number)))
            case _:
                return a.unary(o.kind, x)

    def _dense(self, o: Operation) -> None:
        assert o.weight is not None
        rows, columns = o.weight.shape
        product = self._a.matmul(self._read(o.first, columns), self._a.constant(np.ascontiguousarray(o.weight.T)))
        self._accumulate(o, rows, product, o.bias)

    def _diagonal(self, o: Operation) -> None:
        assert o.left is not None
        repeated = self._a.concat([self._read(o.first, o.size)] * o.groups)
        self._accumulate(o, o.groups * o.size, self._times(repeated, self._a.constant(o.left)), o.right)

    def _accumulate(self, o: Operation, size: int, product: Any, bias: Array | None) -> None:
        if bias is not None:
            product = self._plus(product, self._a.constant(bias))
        if o.accumulate:
            product = self._plus(self._read(o.target, size), product)
        self._write(o.target, size, product)

    def _normalise(self, o: Operation) -> None:
        assert o.left is not None
        a, size = self._a, o.groups * o.size
        x = a.reshape(self._read(o.first, size), o.groups, o.size)
        if o.kind == "normalise":
            x = a.binary("subtract", x, a.reduce("mean", x))
        spread = a.unary("sqrt", self._plus(a.reduce("mean", self._times(x, x)), self._number(o.number)))
        y = self._times(a.reshape(a.binary("divide", x, spread), size), a.constant(o.left))
        self._write(o.target, size, y if o.right is None else self._plus(y, a.constant(o.right)))

    def _cell(self, o: Operation) -> None:
        cell = o.cell
        assert cell is not None
        traced, states = trace(cell), []
        for k, part in enumerate(o.parts):
            states.append(self._read(part, o.size) if k or o.reads_output else None)
        values = self._gates(cell, "x", o.first, o.size, len(cell.gates)) | {
            ("s", name): state for name, state in zip(cell.state, states, strict=True) if state is not None
        }
        second = len(cell.second_stage_gates) if o.kind == "modulate" else 0
        values |= self._gates(cell, "u", o.second, o.size, len(cell.gates) - second)
        if o.per_unit is not None:
            values |= {("p", name): self._a.constant(row) for name, row in zip(cell.per_unit, o.per_unit, strict=True)}
        # One of the two projections is there, and has a value for each sequence.
        like = values["x" if o.second == NOWHERE else "u", cell.gates[0]]
        if o.kind == "modulate":
            assert traced.modulated is not None
            self._write(o.target, o.size, self._a.equations([traced.modulated], values, [like])[0])
            return
        after = self._a.equations(list(traced.after), values, [like] * len(traced.after))
        for k, (part, before) in enumerate(zip(o.parts, states, strict=True)):
            value = after[k]
            if o.zoneout[k] and before is not None:
                stays = self._times(self._a.binary("subtract", before, value), self._number(o.zoneout[k]))
                value = self._plus(value, stays)
            self._write(part if k else o.target, o.size, value)

    def _gates(self, cell: Cell, group: str, location: Location, size: int, count: int) -> dict[tuple[str, str], Any]:
        """The projections of the first `count` gates by name; zeros if there are none."""
        if location == NOWHERE:
            zeros = self._a.constant(np.zeros(size, np.float32))
            return {(group, gate): zeros for gate in cell.gates}
        whole = self._read(location, count * size)
        return {(group, gate): self._a.part(whole, k * size, size) for k, gate in enumerate(cell.gates[:count])}

    def _attend(self, o: Operation) -> None:
        a, score, value = self._a, self._read(o.second, 1), self._read(o.first, o.size)
        largest, sums = self._read(o.parts[0], 1), self._read(o.parts[1], 1 + o.size)
        most = a.binary("maximum", score, largest)
        stays = a.unary("exp", a.binary("subtract", largest, most))
        weight = a.unary("exp", a.binary("subtract", score, most))
        sums = self._plus(self._times(sums, stays), a.concat([weight, self._times(value, weight)]))
        self._write(o.parts[0], 1, most)
        self._write(o.parts[1], 1 + o.size, sums)
        self._write(o.target, o.size, a.binary("divide", a.part(sums, 1, o.size), a.part(sums, 0, 1)))

    def _local_attention(self, o: Operation) -> None:
        a, size, before, kv_heads = self._a, o.size, o.window - 1, o.kv_heads
        features, shared = kv_heads * size, o.groups // kv_heads
        pair, ring = self._read(o.second, 2 * features), self._read(o.parts[2], 2)
        following, length = a.part(ring, 0, 1), a.part(ring, 1, 1)
        # The places by distance, the nearest first.
        slots = self._plus(following, a.constant(before - np.arange(1, before + 1, dtype=np.float32)))
        many = self._number(before)
        slots = a.where(a.binary("less_or_equal", many, slots), a.binary("subtract", slots, many), slots)
        is_next = a.binary("equal", a.constant(np.arange(before, dtype=np.float32)), following)
        is_next = a.reshape(is_next, before, 1)
        seen = []  # keys and values of all distances, (B, W, M * K)
        for k in range(2):
            new = a.part(pair, k * features, features)
            past = a.reshape(self._read(o.parts[k], before * features), before, features)
            ordered = a.reshape(a.gather(past, slots), before * features)
            seen.append(a.reshape(a.concat([new, ordered]), o.window, features))
            updated = a.where(is_next, a.reshape(new, 1, features), past)
            self._write(o.parts[k], before * features, a.reshape(updated, before * features))
        read = a.binary("less_or_equal", a.constant(np.arange(o.window, dtype=np.float32)), length)
        read, query = a.reshape(read, 1, o.window), self._read(o.first, o.groups * size)
        outputs = []
        for head in range(kv_heads):
            keys, values = (a.part(one, head * size, size) for one in seen)
            own = a.reshape(a.part(query, head * shared * size, shared * size), shared, size)
            scores = a.matmul(own, a.transpose(self._turned(o, keys)))
            scores = a.where(read, self._times(scores, self._number(size**-0.5)), self._number(_LOWEST))
            outputs.append(a.reshape(a.matmul(a.softmax(scores), values), shared * size))
        self._write(o.target, o.groups * size, a.concat(outputs))
        following = self._plus(following, self._number(1))
        following = a.where(a.binary("less_or_equal", many, following), self._number(0), following)
        length = self._plus(length, self._number(1))
        length = a.where(a.binary("less_or_equal", many, length), many, length)
        self._write(o.parts[2], 2, a.concat([following, length]))

    def _turned(self, o: Operation, keys: Any) -> Any:
        """Keys (B, W, K), each turned back by its distance."""
        a, half = self._a, o.size // 2
        assert o.left is not None
        assert o.right is not None
        cosine, sine = (a.constant(one.reshape(o.window, half)) for one in (o.left, o.right))
        first, second = a.part(keys, 0, half), a.part(keys, half, half)
        return a.concat(
            [
                self._plus(self._times(cosine, first), self._times(sine, second)),
                a.binary("subtract", self._times(cosine, second), self._times(sine, first)),
            ]
        )

    def _matrix_memory(self, o: Operation) -> None:
        a, size, heads = self._a, o.size, o.groups
        read = self._read(o.first, 3 * heads * size)
        query, key, value = (a.reshape(a.part(read, k * heads * size, heads * size), heads, size) for k in range(3))
        gates = self._read(o.second, 2 * heads)
        admit, forget = a.part(gates, 0, heads), a.part(gates, heads, heads)
        sizes = (heads * size * size, heads * size, heads)
        memory, norm, stabilizer = (self._read(part, own) for part, own in zip(o.parts, sizes, strict=True))
        # log sigmoid(f) = -relu(-f) - log(1 + exp(-|f|))
        rest = self._plus(a.unary("exp", a.unary("negative", a.unary("absolute", forget))), self._number(1))
        rest = self._plus(a.unary("relu", a.unary("negative", forget)), a.unary("log", rest))
        carried = a.binary("subtract", stabilizer, rest)
        most = a.binary("maximum", carried, admit)
        stays, enters = (
            a.reshape(a.unary("exp", a.binary("subtract", one, most)), heads, 1) for one in (carried, admit)
        )
        entering = self._times(key, enters)
        norm = self._plus(self._times(a.reshape(norm, heads, size), stays), entering)
        products = self._times(a.reshape(entering, heads, size, 1), a.reshape(value, heads, 1, size))
        memory = a.reshape(memory, heads, size, size)
        memory = self._plus(self._times(memory, a.reshape(stays, heads, 1, 1)), products)
        hidden = a.reshape(a.matmul(a.reshape(query, heads, 1, size), memory), heads, size)
        along = a.unary("absolute", a.reduce("sum", self._times(query, norm)))
        least = a.unary("exp", a.unary("negative", a.binary("maximum", most, self._number(-_LARGEST))))
        hidden = a.binary("divide", hidden, a.binary("maximum", along, a.reshape(least, heads, 1)))
        self._write(o.target, heads * size, a.reshape(hidden, heads * size))
        for part, own, after in zip(o.parts, sizes, (memory, norm, most), strict=True):
            self._write(part, own, a.reshape(after, own))
