"""The engine's exp, sigmoid and tanh: errors in units in the last place (ULP), as `csrc/vector.hpp` states them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from recurra import ops
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.kernels import extension, native

NAMES = ("exp", "sigmoid", "tanh", "relu", "absolute", "sqrt", "log", "softplus")
# The bounds of csrc/vector.hpp; exp and sigmoid within the limit, tanh everywhere.
BOUNDS = {"exp": 2.0, "sigmoid": 3.0, "tanh": 3.0}
LIMIT = {np.float32: 87.0, np.float64: 708.0}
TYPES = [np.float32, np.float64]
WIDTH = 1024


@dataclass(frozen=True)
class Functions(Cell):
    """Each part of the state is one function of the input: one cell, compiled once, for all of them."""

    gates = ("a",)
    state = NAMES

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(**{name: getattr(ops, name)(x.a) for name in NAMES})


pytestmark = pytest.mark.skipif(bool(extension.obstacle(Functions())), reason=extension.obstacle(Functions()) or "none")


def compute(name: str, values: Any) -> Any:
    """The engine's own function of an array of floats, one step of rows as wide as WIDTH."""
    given = torch.from_numpy(np.pad(values, (0, -len(values) % WIDTH)).reshape(1, -1, WIDTH))
    state = given.new_zeros(len(NAMES), given.shape[1], WIDTH)
    # Straight to the engine, so that no matrix product touches the values; the recurrent weights are zero.
    weight = given.new_zeros(WIDTH, WIDTH)
    _, final = native._Recurrence.apply(Functions(), given, weight, None, None, state, None, False, False)
    return final[NAMES.index(name)].reshape(-1)[: len(values)].numpy()


def truth(name: str, values: Any) -> Any:
    exact = values.astype(np.longdouble if values.dtype == np.float64 else np.float64)
    with np.errstate(over="ignore"):
        if name == "sigmoid":
            return 1 / (1 + np.exp(-exact))
        return getattr(np, name)(exact)


def errors(name: str, values: Any) -> Any:
    """In ULP of the rounded truth; below the smallest normal number, in its ULP."""
    exact = truth(name, values)
    rounded = np.maximum(np.abs(exact), np.finfo(values.dtype).tiny).astype(values.dtype)
    return np.abs(compute(name, values).astype(exact.dtype) - exact) / np.spacing(rounded)


def in_range(name: str, values: Any) -> Any:
    limit = LIMIT[values.dtype.type]
    if name == "exp":
        return values[np.abs(values) <= limit]
    return values[values >= -limit] if name == "sigmoid" else values


def assert_within_bound(name: str, values: Any) -> None:
    values = in_range(name, values[np.isfinite(values)])
    found = errors(name, values)
    worst = int(np.argmax(found))
    assert found[worst] <= BOUNDS[name], f"{found[worst]} ULP at {values[worst]!r}"


def random_bits(dtype: Any, count: int) -> Any:
    bits = np.random.default_rng(0).integers(0, 2 ** (8 * dtype().itemsize), count, np.uint64)
    with np.errstate(over="ignore"):
        return bits.astype(f"u{dtype().itemsize}").view(dtype)


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", BOUNDS)
def test_over_all_magnitudes(name: str, dtype: Any) -> None:
    assert_within_bound(name, random_bits(dtype, 1 << 20))


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", BOUNDS)
def test_where_gates_are(name: str, dtype: Any) -> None:
    draw = np.random.default_rng(1)
    for scale in (1e-6, 0.01, 1.0, 8.0):
        assert_within_bound(name, draw.normal(0, scale, 1 << 17).astype(dtype))
    assert_within_bound(name, np.linspace(-20, 20, 1 << 18).astype(dtype))
    # Where the argument's reduction changes from one multiple of ln 2 to the next.
    halves = (np.arange(-120, 121) + 0.5) * np.log(2) * (0.5 if name == "tanh" else 1)
    around = np.concatenate([halves * (1 + k * np.finfo(dtype).eps) for k in range(-40, 41)])
    assert_within_bound(name, around.astype(dtype))


def every_float32() -> Iterator[Any]:
    for start in range(0, 1 << 32, 1 << 24):
        yield np.arange(start, start + (1 << 24), dtype=np.uint64).astype(np.uint32).view(np.float32)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", BOUNDS)
def test_over_every_float32(name: str) -> None:
    for values in every_float32():
        with np.errstate(invalid="ignore"):
            values = in_range(name, values[np.isfinite(values)])
        if len(values):
            assert_within_bound(name, values)


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
def test_special_values(dtype: Any) -> None:
    inf, nan = np.inf, np.nan
    tiny, least = np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal
    given = np.array([inf, -inf, nan, 0.0, -0.0, tiny, -tiny, least, -least], dtype=dtype)
    expected = {
        "exp": [inf, 0, nan, 1, 1, 1, 1, 1, 1],
        "sigmoid": [1, 0, nan, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
        "tanh": [1, -1, nan, 0.0, -0.0, tiny, -tiny, least, -least],
        "relu": [inf, 0, nan, 0, 0, tiny, 0, least, 0],
        "absolute": [inf, inf, nan, 0, 0, tiny, tiny, least, least],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(compute(name, given), np.array(values, dtype=dtype), err_msg=name)
    assert np.isnan(compute("sqrt", np.array([-1, nan], dtype=dtype))).all()
    assert np.isnan(compute("log", np.array([-1, nan], dtype=dtype))).all()
    assert compute("log", np.array([0], dtype=dtype)) == -inf


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
def test_beyond_the_limits(dtype: Any) -> None:
    limit = LIMIT[dtype]
    beyond = np.array([limit * 1.001, limit * 2, np.finfo(dtype).max], dtype=dtype)
    assert (compute("exp", beyond) == np.inf).all()
    assert (compute("exp", -beyond) == 0).all()
    assert (compute("sigmoid", beyond) == 1).all()
    assert (compute("sigmoid", -beyond) == 0).all()
    assert (compute("tanh", beyond) == 1).all()
    assert (compute("tanh", -beyond) == -1).all()
    assert np.isfinite(compute("exp", np.array([limit, -limit], dtype=dtype))).all()


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", BOUNDS)
def test_every_lane_computes_the_same(name: str, dtype: Any) -> None:
    values = random_bits(dtype, WIDTH)
    np.testing.assert_array_equal(compute(name, values), compute(name, values[::-1].copy())[::-1])


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", ["relu", "absolute", "sqrt", "log", "softplus"])
def test_the_others_equal_torch_s(name: str, dtype: Any) -> None:
    values = np.linspace(-30, 30, 4096).astype(dtype)
    if name in ("sqrt", "log"):
        values = np.abs(values) + dtype(1e-3)
    expected = getattr(ops, name)(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(compute(name, values), expected, rtol=4 * np.finfo(dtype).eps)
