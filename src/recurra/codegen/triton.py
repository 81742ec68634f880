"""A traced cell written out as Triton: the whole loop over time, for cells whose units mix within their heads at most.

A program of the kernel runs a tile of units of one sequence, from its first valid step to its last, with the state in
registers. The backward pass computes the values of a step again, from its inputs and the state before it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from recurra.cells import Cell
from recurra.codegen.derive import prepared
from recurra.codegen.differentiate import differentiate, differentiate_prepared
from recurra.codegen.expression import COMPARISONS, Expression, reachable
from recurra.codegen.trace import Trace, check_by_unit, new_trace

__all__ = ["TritonForm", "saved_parts", "write_triton"]

_SIGNS = dict(
    zip(("add", "sub", "mul", "div", *COMPARISONS), ("+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!="), strict=True)
)
_SIZES = ("batch", "units", "WIDTH: tl.constexpr", "BLOCK: tl.constexpr", "REVERSE: tl.constexpr")


class TritonForm(NamedTuple):
    """What a kernel reads besides the input projection and the state.

    Attributes:
        reads: which units of the last output a unit reads by its recurrent weights: "none", "own" or "head".
        bias: whether the recurrent projection has a bias.
        mask: whether there is a mask of recurrent dropout.
        zoneout: whether there are masks of zoneout.
    """

    reads: str
    bias: bool = False
    mask: bool = False
    zoneout: bool = False


def write_triton(cell: Cell, form: TritonForm) -> str:
    """The functions `forward` and `backward`, for `triton.jit` and a grid of (B, tiles of units).

    A tile has WIDTH units: those of a head, if units read those of their head. BLOCK is a power of 2, at least WIDTH.
    The pointers are, by name, to contiguous tensors, of P parts, P' per-unit parameters and S `saved_parts`:

    - x, dx (T, B, G, H): the input projection and its gradient. Padding is neither read nor written.
    - state, final, d_state, d_final (P, B, H): the state before the first and after the last step.
    - lengths (B,) int32, output and d_output (T, B, H), saved (T, S, B, H).
    - weight (G, H) or (G, H, K), bias (G, H) and per_unit (P', H); for each sequence, d_weight (B, G, H) or
      (B, G, H, K), d_bias (B, G, H) and d_per_unit (B, P', H).
    - mask (B, H) of recurrent dropout, zoneout (T, P, B, H).

    They call `tl`, and the functions of `recurra.kernels.triton.functions` by name.

    Raises:
        CellError: if the equations cannot be compiled.
    """
    check_by_unit(cell)
    traced = new_trace(cell)
    return f"{_forward(traced, form)}\n\n{_backward(traced, form)}"


def saved_parts(cell: Cell, form: TritonForm) -> tuple[int, ...]:
    """The parts of the state, the output aside, that the backward pass reads at each step, by position."""
    return tuple(k for k in _parts_read(new_trace(cell), form) if k)


def _parts_read(traced: Trace, form: TritonForm) -> tuple[int, ...]:
    read = {node.label for node in reachable(traced.after) if node.op == "input"}
    recurrent = form.reads != "none"
    return tuple(
        k for k, part in enumerate(traced.cell.state) if form.zoneout or ("s", part) in read or (recurrent and not k)
    )


def _forward(traced: Trace, form: TritonForm) -> str:
    cell, once = traced.cell, prepared(traced)
    saved = saved_parts(cell, form)
    body = _Body(cell, form)
    body.begin(once, reachable(traced.after))
    body.load({f"s_{part}": f"state + ({k} * batch + row) * units" for k, part in enumerate(cell.state)})
    body.begin_loop("length - 1 - step if REVERSE else step")
    body.load_step()
    body.compute(traced.after)
    for part, node in zip(cell.state, traced.after, strict=True):
        retained = f" + z_{part} * (s_{part} - {_name(node)})" if form.zoneout else ""
        body.write(f"after_{part} = {_name(node)}{retained}")
    body.write(*(f"s_{part} = after_{part}" for part in cell.state))
    body.store("output + at * units", f"s_{cell.state[0]}")
    if saved:
        body.write("if SAVES:")
        body.indent += 1
        for position, k in enumerate(saved):
            body.store(_in_saved("t", position, saved), f"s_{cell.state[k]}")
        body.indent -= 1
    body.end_loop()
    for k, part in enumerate(cell.state):
        body.store(f"final + ({k} * batch + row) * units", f"s_{part}")
    pointers = ["x", "state", "lengths", "output", "final", *_constant_pointers(cell, form), *["saved"][: len(saved)]]
    return body.function("forward", [*pointers, *_SIZES, "SAVES: tl.constexpr"])


def _backward(traced: Trace, form: TritonForm) -> str:
    cell, once = traced.cell, prepared(traced)
    gates, recurrent = len(cell.gates), form.reads != "none"
    saved, read = saved_parts(cell, form), _parts_read(traced, form)
    gradients, of_parameters = differentiate(traced, once), differentiate_prepared(traced, once)
    results = [*gradients.x, *(gradients.u if recurrent else ()), *gradients.s, *gradients.p]
    body = _Body(cell, form)
    body.begin(once, [*reachable(results, frozenset(once)), *reachable(of_parameters)])
    for k, part in enumerate(cell.state):
        body.load({f"d_{part}": f"d_final + ({k} * batch + row) * units"})
        if k in read:
            body.load({f"first_{part}": f"state + ({k} * batch + row) * units"})
    body.zeros(*(f"sum_{k}" for k in range(len(once))))
    if recurrent:
        body.zeros(*(f"dw_{gate}" for gate in cell.gates), square=form.reads == "head")
        body.zeros(*(f"db_{gate}" for gate in cell.gates if form.bias))
    body.begin_loop("step if REVERSE else length - 1 - step")
    # Before the first step there is none: what is loaded for it is not used.
    body.write("earlier = tl.minimum(t + 1, length - 1) if REVERSE else tl.maximum(t - 1, 0)")
    for k in read:
        part = cell.state[k]
        where = _in_saved("earlier", saved.index(k), saved) if k else "output + (earlier * batch + row) * units"
        body.load({f"s_{part}": where})
        body.write(f"s_{part} = tl.where(step < length - 1, s_{part}, first_{part})")
    body.load_step()
    body.load({"d_of_output": "d_output + at * units"})
    body.write(f"d_{cell.state[0]} += d_of_output")
    if form.zoneout:
        for part in cell.state:
            body.write(f"retained_{part} = d_{part} * z_{part}", f"d_{part} -= retained_{part}")
    body.compute(results)
    for k, node in enumerate(gradients.x):
        body.store(f"dx + (at * {gates} + {k}) * units", _name(node))
    body.write(*(f"sum_{k} += {_name(node)}" for k, node in enumerate(gradients.p)))
    body.write(*(f"d_{part} = {_name(node)}" for part, node in zip(cell.state, gradients.s, strict=True)))
    if recurrent:
        body.add_recurrent_gradients(gradients.u)
    if form.zoneout:
        body.write(*(f"d_{part} += retained_{part}" for part in cell.state))
    body.end_loop()
    for k, part in enumerate(cell.state):
        body.store(f"d_state + ({k} * batch + row) * units", f"d_{part}")
    for k, gate in enumerate(cell.gates if recurrent else ()):
        body.store_weight(f"(row * {gates} + {k}) * units", f"dw_{gate}")
        if form.bias:
            body.store(f"d_bias + (row * {gates} + {k}) * units", f"db_{gate}")
    body.compute(of_parameters)
    for k, node in enumerate(of_parameters):
        body.store(f"d_per_unit + (row * {len(of_parameters)} + {k}) * units", _name(node))
    constant = _constant_pointers(cell, form)
    pointers = ["x", "state", "lengths", "output", *constant, *["saved"][: len(saved)]]
    pointers += ["d_output", "d_final", "dx", "d_state"]
    pointers += [f"d_{name}" for name in constant if name in ("weight", "bias", "per_unit")]
    return body.function("backward", [*pointers, *_SIZES])


def _constant_pointers(cell: Cell, form: TritonForm) -> list[str]:
    """The pointers of what both passes read and no step changes, and of the masks of zoneout."""
    recurrent = form.reads != "none"
    there = {
        "weight": recurrent,
        "bias": recurrent and form.bias,
        "per_unit": bool(cell.per_unit),
        "mask": recurrent and form.mask,
        "zoneout": form.zoneout,
    }
    return [name for name, is_there in there.items() if is_there]


def _in_saved(t: str, position: int, saved: tuple[int, ...]) -> str:
    return f"saved + (({t} * {len(saved)} + {position}) * batch + row) * units"


class _Body:
    """The statements of a function. A node of the graph has the name of its index, and is computed once."""

    def __init__(self, cell: Cell, form: TritonForm) -> None:
        self.indent = 1
        self._cell = cell
        self._form = form
        self._lines: list[str] = []
        self._computed: set[Expression] = set()
        self._before_loop: frozenset[Expression] = frozenset()

    def function(self, name: str, parameters: list[str]) -> str:
        """The function."""
        return "\n".join([f"def {name}({', '.join(parameters)}):", *self._lines, ""])

    def write(self, *statements: str) -> None:
        """Add statements."""
        self._lines += ["    " * self.indent + statement for statement in statements]

    def load(self, values: dict[str, str]) -> None:
        """Load a tile for each name, from a pointer to the first unit."""
        self.write(*(f"{name} = tl.load({where} + unit, mask=inside, other=0.0)" for name, where in values.items()))

    def store(self, where: str, value: str) -> None:
        """Store a tile."""
        self.write(f"tl.store({where} + unit, {value}, mask=inside)")

    def store_weight(self, offset: str, value: str) -> None:
        """Store the gradient of the weights of a gate."""
        if self._form.reads == "own":
            self.store(f"d_weight + {offset}", value)
        else:
            self.write(f"tl.store(d_weight + ({offset} + unit[:, None]) * WIDTH + column[None, :], {value}, mask=both)")

    def zeros(self, *names: str, square: bool = False) -> None:
        """Tiles of zeros."""
        shape = "(BLOCK, BLOCK)" if square else "(BLOCK,)"
        self.write(*(f"{name} = tl.full({shape}, 0.0, x.dtype.element_ty)" for name in names))

    def begin(self, once: tuple[Expression, ...], nodes: Iterable[Expression]) -> None:
        """What is the same at all steps.

        Args:
            once: the nodes that follow from the per-unit parameters alone.
            nodes: all others that are computed, of which the constants are.
        """
        cell, form = self._cell, self._form
        self.write(
            "row = tl.program_id(0).to(tl.int64)",
            "column = tl.arange(0, BLOCK)",
            "unit = tl.program_id(1) * WIDTH + column",
            "inside = (column < WIDTH) & (unit < units)",
            "length = tl.load(lengths + row)",
        )
        if form.reads == "head":
            self.write("both = inside[:, None] & inside[None, :]")
        self.load({f"p_{name}": f"per_unit + {k} * units" for k, name in enumerate(cell.per_unit)})
        if form.reads != "none":
            for k, gate in enumerate(cell.gates):
                if form.reads == "own":
                    self.load({f"w_{gate}": f"weight + {k} * units"})
                else:
                    where = f"weight + ({k} * units + unit[:, None]) * WIDTH + column[None, :]"
                    self.write(f"w_{gate} = tl.load({where}, mask=both, other=0.0)")
                if form.bias:
                    self.load({f"b_{gate}": f"bias + {k} * units"})
            if form.mask:
                self.load({"m": "mask + row * units"})
        constants = {node for node in [*nodes, *reachable(once)] if node.is_constant}
        self.compute([*constants, *once])
        self._before_loop = frozenset(self._computed)

    def begin_loop(self, t: str) -> None:
        """Begin the loop over the valid steps, `t` being the step in the sequence."""
        self.write("for step in range(length):")
        self.indent += 1
        self.write(f"t = {t}", "at = t * batch + row")

    def end_loop(self) -> None:
        """End the loop; what was computed in it is gone."""
        self.indent -= 1
        self._computed = set(self._before_loop)

    def load_step(self) -> None:
        """Load what a step reads besides the state before it, and compute the recurrent projection."""
        cell, form = self._cell, self._form
        count = len(cell.state)
        self.load({f"x_{gate}": f"x + (at * {len(cell.gates)} + {k}) * units" for k, gate in enumerate(cell.gates)})
        if form.zoneout:
            zoneout = {
                part: f"zoneout + ((t * {count} + {k}) * batch + row) * units" for k, part in enumerate(cell.state)
            }
            self.load({f"z_{part}": where for part, where in zoneout.items()})
        if form.reads == "none":
            return
        output = f"s_{cell.state[0]}"
        fed = f"{output} * m" if form.mask else output
        # Of a unit that is not there anything may be computed, but nothing may read it.
        self.write(f"fed = {fed}" if form.reads == "own" else f"fed = tl.where(inside, {fed}, 0.0)")
        for gate in cell.gates:
            projected = f"fed * w_{gate}" if form.reads == "own" else f"tl.reduce(w_{gate} * fed[None, :], 1, add)"
            self.write(f"u_{gate} = {projected}" + (f" + b_{gate}" if form.bias else ""))

    def add_recurrent_gradients(self, of_gates: tuple[Expression, ...]) -> None:
        """Add the gradients by the recurrent projection, from those of its gates."""
        by_gate = dict(zip(self._cell.gates, map(_name, of_gates), strict=True))
        if self._form.reads == "own":
            self.write(*(f"dw_{gate} += {name} * fed" for gate, name in by_gate.items()))
            back = " + ".join(f"{name} * w_{gate}" for gate, name in by_gate.items())
        else:
            for gate, name in by_gate.items():
                self.write(f"du_{gate} = tl.where(inside, {name}, 0.0)")
                self.write(f"dw_{gate} += du_{gate}[:, None] * fed[None, :]")
            back = " + ".join(f"tl.reduce(w_{gate} * du_{gate}[:, None], 0, add)" for gate in by_gate)
        if self._form.bias:
            self.write(*(f"db_{gate} += {name}" for gate, name in by_gate.items()))
        self.write(f"d_{self._cell.state[0]} += " + (f"({back}) * m" if self._form.mask else back))

    def compute(self, roots: Iterable[Expression]) -> None:
        """Compute nodes and what they are computed from, arguments first."""
        for node in reachable(roots, frozenset(self._computed)):
            if node not in self._computed:
                self._computed.add(node)
                self.write(f"{_name(node)} = {_value(node)}")


def _name(node: Expression) -> str:
    return f"n{node.index}"


def _value(node: Expression) -> str:
    names = [_name(argument) for argument in node.arguments]
    if node.op == "input":
        group, label = node.label
        return f"sum_{label}" if group == "d" and label.isdecimal() else f"{group}_{label}"
    if node.is_constant:
        return f"tl.full((BLOCK,), {node.label!r}, x.dtype.element_ty)"
    if node.op in _SIGNS:
        return f"{names[0]} {_SIGNS[node.op]} {names[1]}"
    if node.op == "neg":
        return f"-{names[0]}"
    if node.op == "where":
        return f"tl.where({', '.join(names)})"
    return f"{node.op}({', '.join(names)})"
