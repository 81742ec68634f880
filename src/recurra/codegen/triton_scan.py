"""The linear recurrence s_t = A_t s_{t-1} + b_t written out as Triton, for matrices of any size."""

__all__ = ["write_triton_scan"]

_CONSTANTS = ("CHUNK: tl.constexpr", "BLOCK: tl.constexpr", "ADJOINT: tl.constexpr")
_PARAMETERS = ("a", "b", "initial", "states", "steps", "units", *_CONSTANTS)


def write_triton_scan(parts: int) -> str:
    """The functions `after` and `scan`, for `triton.jit` and a grid of tiles of units.

    A program solves the recurrences of BLOCK units, CHUNK steps at once by an associative scan (Blelloch 1990), and
    chunks one after another: what two runs of steps do, one after the other, is `after` of what each does. With ADJOINT
    it solves s_t = A_{t+1}^T s_{t+1} + b_t instead, from the last step to the first. The pointers are to contiguous
    tensors, of P parts, T steps and N units:

    - a (P, P, T, N): the matrices.
    - b (P, T, N): the shifts.
    - initial (P, N): the state before the first step; with ADJOINT it has to be finite, and counts for nothing.
    - states (P, T, N): the result.

    `scan` calls `add` of `recurra.kernels.triton.functions`. CHUNK and BLOCK are powers of 2.

    Args:
        parts: P.
    """
    return f"{_after(parts)}\n\n{_scan(parts)}"


def _after(parts: int) -> str:
    """What a later run of steps does after an earlier one: the product of their matrices, and the shift of both."""
    each, entries, shifts = range(parts), _entries(parts), _shifts(parts)
    matrix = [_sum([f"later_a_{i}_{k} * a_{k}_{j}" for k in each]) for i in each for j in each]
    shift = [_sum([*(f"later_a_{i}_{k} * b_{k}" for k in each), f"later_b_{i}"]) for i in each]
    parameters = [*entries, *shifts, *(f"later_{name}" for name in [*entries, *shifts])]
    return "\n".join([f"def after({', '.join(parameters)}):", f"    return {', '.join([*matrix, *shift])}", ""])


def _scan(parts: int) -> str:
    each, entries, shifts = range(parts), _entries(parts), _shifts(parts)
    scanned = ", ".join([*entries, *shifts])
    in_loop = [
        "order = start + row",
        "step = steps - 1 - order if ADJOINT else order",
        "inside = (order < steps) & is_unit",
        # The first step backward in time has no matrix: none comes after it.
        "step_of_a = step + 1 if ADJOINT else step",
        "has_a = inside & (step_of_a < steps)",
    ]
    for i in each:
        for j in each:
            position = i * parts + j if i == j else f"({j * parts + i} if ADJOINT else {i * parts + j})"
            where = f"a + ({position} * steps + step_of_a) * units + unit"
            in_loop.append(f"a_{i}_{j} = tl.load({where}, mask=has_a, other=0.0)")
        in_loop.append(f"b_{i} = tl.load(b + ({i} * steps + step) * units + unit, mask=inside, other=0.0)")
    for i in each:
        carried = _sum([f"a_{i}_{j} * s_{j}" for j in each])
        in_loop.append(f"b_{i} += tl.where(row == 0, {carried}, 0.0)")
    in_loop.append(f"{scanned} = tl.associative_scan(({scanned}), 0, after)")
    in_loop.append("last = tl.minimum(start + CHUNK, steps) - 1")
    for i in each:
        in_loop.append(f"tl.store(states + ({i} * steps + step) * units + unit, b_{i}, mask=inside)")
        in_loop.append(f"s_{i} = tl.reduce(tl.where(order == last, b_{i}, 0.0), 0, add)[None, :]")
    lines = [
        f"def scan({', '.join(_PARAMETERS)}):",
        # Positions in memory may not fit into 32 bits.
        "    row = tl.arange(0, CHUNK).to(tl.int64)[:, None]",
        "    unit = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[None, :]",
        "    is_unit = unit < units",
        *(f"    s_{i} = tl.load(initial + {i} * units + unit, mask=is_unit, other=0.0)" for i in each),
        "    for start in range(0, steps, CHUNK):",
        *(f"        {statement}" for statement in in_loop),
    ]
    return "\n".join([*lines, ""])


def _entries(parts: int) -> list[str]:
    return [f"a_{i}_{j}" for i in range(parts) for j in range(parts)]


def _shifts(parts: int) -> list[str]:
    return [f"b_{i}" for i in range(parts)]


def _sum(terms: list[str]) -> str:
    return " + ".join(terms)
