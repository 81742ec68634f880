"""Each kind of operation in C computes what the engine computes."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from c_models import compile_with, needs_compiler, needs_extension

from recurra.export.c import export_c
from recurra.program import Location, Operation, Part, Program
from recurra.program.operations import Array, Kind

pytestmark = [needs_extension, needs_compiler]

INPUT, OUTPUT, STATE = Location("input", 0), Location("output", 0), Location("state", 0)
LOWEST = float(np.finfo(np.float32).min)


def frame(offset: int) -> Location:
    return Location("frame", offset)


def values(*shape: int, scale: float = 1.0) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32) * np.float32(scale)


def by_value(kind: Any, **options: Any) -> Program:
    """An operation on 7 features."""
    operation = Operation(kind, INPUT, frame(0), 7, **options)
    return Program((operation, Operation("copy", frame(0), OUTPUT, 7)), 7, 0, 7, 16)


def of_two(kind: Any, **options: Any) -> Program:
    """An operation on the first 7 of 14 features and the last 7."""
    operation = Operation(kind, INPUT, OUTPUT, 7, Location("input", 7), **options)
    return Program((operation,), 14, 0, 7, 0)


def dense(rows: int, columns: int, bias: bool, accumulate: bool) -> Program:
    first = Operation("dense", INPUT, frame(0), rows, weight=values(rows, columns))
    second = Operation(
        "dense",
        INPUT,
        frame(0),
        rows,
        weight=values(rows, columns + 1)[:, 1:].copy(),
        bias=values(rows) if bias else None,
        accumulate=accumulate,
    )
    return Program((first, second, Operation("copy", frame(0), OUTPUT, rows)), columns, 0, rows, 64)


def diagonal(accumulate: bool) -> Program:
    start = Operation("dense", INPUT, frame(0), 15, weight=values(15, 5), bias=values(15))
    right = None if accumulate else values(15)
    options = {"groups": 3, "left": values(16)[1:], "right": right, "accumulate": accumulate}
    operation = Operation("diagonal", INPUT, frame(0), 5, **options)
    return Program((start, operation, Operation("copy", frame(0), OUTPUT, 15)), 5, 0, 15, 16)


def normalise(shift: bool) -> Program:
    right = values(12)[::-1].copy() if shift else None
    operation = Operation("normalise", INPUT, OUTPUT, 4, groups=3, number=1e-5, left=values(12), right=right)
    return Program((operation,), 12, 0, 12, 0)


def rms_normalise() -> Program:
    return Program((Operation("rms_normalise", INPUT, OUTPUT, 7, number=1e-6, left=values(7)),), 7, 0, 7, 0)


def local_attention() -> Program:
    """Of 4 heads, two of which read the same keys and values, to 3 steps."""
    parts = (Part("keys", 0, 16), Part("values", 16, 16), Part("place", 32, 2))
    angles = np.arange(6, dtype=np.float32)
    operation = Operation(
        "local_attention",
        INPUT,
        frame(0),
        4,
        Location("input", 16),
        groups=4,
        kv_heads=2,
        window=3,
        parts=(STATE, Location("state", 16), Location("state", 32)),
        left=np.cos(angles),
        right=np.sin(angles),
    )
    return Program((operation, Operation("copy", frame(0), OUTPUT, 16)), 32, 0, 16, 32, parts)


def matrix_memory() -> Program:
    parts = (Part("memory", 0, 18), Part("normalizer", 18, 6), Part("stabilizer", 24, 2))
    places = (STATE, Location("state", 18), Location("state", 24))
    operation = Operation("matrix_memory", INPUT, OUTPUT, 3, Location("input", 18), groups=2, parts=places)
    return Program((operation,), 22, 0, 6, 0, parts)


def embed() -> Program:
    return Program((Operation("embed", Location("frame", -1), OUTPUT, 6, left=values(54)),), 1, 9, 6, 0)


def in_place() -> Program:
    """Functions that read what they write, in memory that others used before."""
    return Program(
        (
            Operation("dense", INPUT, frame(0), 9, weight=values(9, 5), bias=values(9)),
            Operation("dense", frame(0), frame(16), 9, weight=values(9, 9, scale=0.2)),
            Operation("dense", frame(16), frame(32), 9, weight=values(9, 10, scale=0.2)[:, 1:]),
            Operation("dense", frame(32), frame(48), 9, weight=values(9, 11, scale=0.2)[:, 2:]),
            Operation("log_softmax", frame(48), frame(48), 9),
            Operation("softmax", frame(48), frame(48), 9),
            Operation("normalise", frame(48), frame(48), 9, left=values(9), number=1.0),
            Operation("copy", frame(48), OUTPUT, 9),
        ),
        5,
        0,
        9,
        64,
    )


def mean() -> Program:
    parts = (Part("pooling.count", 0, 1), Part("pooling.mean", 1, 7))
    operation = Operation("mean", INPUT, Location("state", 1), 7, STATE)
    return Program((operation, Operation("copy", Location("state", 1), OUTPUT, 7)), 7, 0, 7, 0, parts)


def largest() -> Program:
    parts = (Part("max", 0, 7, LOWEST),)
    operations = Operation("largest", INPUT, STATE, 7), Operation("copy", STATE, OUTPUT, 7)
    return Program(operations, 7, 0, 7, 0, parts)


def attend() -> Program:
    parts = (Part("largest score", 0, 1, LOWEST), Part("sums", 1, 7))
    operation = Operation("attend", INPUT, OUTPUT, 6, Location("input", 6), parts=(STATE, Location("state", 1)))
    return Program((operation,), 7, 0, 6, 0, parts)


def log() -> Program:
    """Of values that are positive, and zero."""
    operations = Operation("relu", INPUT, frame(0), 7), Operation("scale", frame(0), frame(0), 7, left=values(7) ** 2)
    return Program((*operations, Operation("log", frame(0), OUTPUT, 7)), 7, 0, 7, 16)


def delay() -> Program:
    parts = (Part("other", 0, 2), Part("window", 2, 12, tuple(values(12).tolist())))
    window = Location("state", 2)
    operations = Operation("delay", INPUT, window, 3, groups=4), Operation("copy", window, OUTPUT, 12)
    return Program(operations, 3, 0, 12, 0, parts)


def whole_state() -> Program:
    """A copy over parts of the state, which are arrays of their own in C."""
    parts = (Part("last", 0, 3), Part("window", 3, 6), Part("sum", 9, 3))
    first, window, total = STATE, Location("state", 3), Location("state", 9)
    operations = (
        Operation("delay", first, window, 3, groups=2),
        Operation("copy", INPUT, first, 3),
        Operation("add", INPUT, total, 3, total),
        Operation("copy", Location("state", 1), OUTPUT, 11),
    )
    return Program(operations, 3, 0, 11, 0, parts)


PROGRAMS: dict[str, Callable[[], Program]] = {
    **{
        kind: lambda kind=kind: by_value(kind)
        for kind in ("tanh", "sigmoid", "relu", "silu", "gelu", "exp", "softmax", "log_softmax")
    },
    "log": log,
    "scale": lambda: by_value("scale", left=values(7)),
    "scale and shift": lambda: by_value("scale", left=values(7), right=values(8)[1:].copy()),
    "add": lambda: of_two("add"),
    "multiply": lambda: of_two("multiply"),
    "blend": lambda: of_two("blend", number=0.3),
    "dense": lambda: dense(13, 7, True, False),
    "dense without bias": lambda: dense(1, 1, False, False),
    "dense added": lambda: dense(33, 6, False, True),
    "diagonal": lambda: diagonal(False),
    "diagonal added": lambda: diagonal(True),
    "normalise": lambda: normalise(False),
    "normalise and shift": lambda: normalise(True),
    "rms_normalise": rms_normalise,
    "local_attention": local_attention,
    "matrix_memory": matrix_memory,
    "embed": embed,
    "mean": mean,
    "largest": largest,
    "attend": attend,
    "delay": delay,
    "copy in place": in_place,
    "copy of parts": whole_state,
}


def test_every_kind_is_here_or_of_a_cell() -> None:
    of_cells = {"modulate", "update"}
    assert {name.split()[0] for name in PROGRAMS} | of_cells == {*get_args(Kind)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_operation(tmp_path: Path, name: str) -> None:
    check = export_c(PROGRAMS[name](), tmp_path, "step", steps=200).check
    assert check.steps == 200
    assert check.tolerance == 1e-5


def test_a_damaged_state_touches_no_other_memory(tmp_path: Path) -> None:
    """The state says where an attention's keys and values lie, and a caller may have read it from a broken file."""
    export_c(local_attention(), tmp_path, "step", steps=10)
    flags = ["-O1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
    compile_with("gcc", flags, tmp_path, ["step.c", "step_check.c"], "sanitized")
    damaged = np.array([-1, 0.5, 3, 1e9, -np.inf, np.inf, np.nan], np.float32)
    given = np.zeros((len(damaged), 34 + 32), np.float32)  # a state and an input each
    given[:, 32:34] = damaged[:, None]
    given[:, 34:] = values(len(damaged), 32)
    command, sent = ["./sanitized", "each"], given.tobytes()
    ran = subprocess.run(command, cwd=tmp_path, input=sent, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = np.frombuffer(ran.stdout, np.float32).reshape(len(damaged), 16 + 34)
    assert np.isfinite(found).all()
    assert (found[:, 48] == 1).all(), "the place after the first"
    assert (found[:, 49] == 1).all(), "of one step"


@pytest.mark.parametrize("name", ["dense", "dense without bias", "dense added"])
def test_products_in_eight_bits(tmp_path: Path, name: str) -> None:
    check = export_c(PROGRAMS[name](), tmp_path, "step", "int8", steps=2000).check
    assert check.fraction_off < 0.01
    assert "int8" in (tmp_path / "step.h").read_text()


def test_a_row_of_zeros_in_eight_bits(tmp_path: Path) -> None:
    program = dense(4, 3, True, True)
    for operation in program.operations[:2]:
        assert operation.weight is not None
        operation.weight[2] = 0
    assert export_c(program, tmp_path, "step", "int8", steps=100).check.compiler


def test_scratch_memory_is_used_again(tmp_path: Path) -> None:
    assert export_c(in_place(), tmp_path, "step", steps=10).stack_bytes == 4 * 2 * 9
    assert "add_product(9, 9, dense_3_weight, v0, output);" in (tmp_path / "step.c").read_text(), "the output too"
