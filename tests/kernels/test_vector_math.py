"""The functions on vectors: errors in units in the last place (ULP), as `csrc/vector.hpp` states them.

Those of `recurra.codegen.cpp_maths` are measured as it states them, by their distance from the truth.
"""

import ctypes
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recurra import ops
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.codegen.compile import find_compiler
from recurra.codegen.cpp_maths import cpp_maths
from recurra.errors import CompilerError
from recurra.kernels.native import extension
from recurra.kernels.native.call import set_pointers
from recurra.kernels.native.launches import Launch, launch

# The bounds of csrc/vector.hpp, within `in_range`.
BOUNDS = {"exp": 2.0, "sigmoid": 3.0, "tanh": 3.0, "sqrt": 0.5, "log": 3.0, "softplus": 4.0}
NAMES = (*BOUNDS, "relu", "absolute")
# The distance from the truth that codegen/cpp_maths.py states, and up to which argument.
DISTANCES = {np.float32: (3e-7, 2e4), np.float64: (5e-16, 1e6)}
PERIODIC = ("sin", "cos", "floor")
EVERY = (*NAMES, *PERIODIC)
LIMIT = {np.float32: 87.0, np.float64: 708.0}
TYPES = [np.float32, np.float64]
# As CMakeLists.txt builds the package's, and as a user's cell is built.
FLAGS = {
    "baseline": (16, "-O2"),
    "avx2": (32, "-O2 -mavx2 -mfma"),
    "avx512": (64, "-O2 -mavx512f -mavx512vl -mavx512dq -mfma -mprefer-vector-width=512"),
    "neon": (16, "-O2"),
}
INSTRUCTION_SETS = ("baseline", *extension.instruction_sets())


def reason_to_skip() -> str:
    if not extension.is_installed():
        return "needs the C++ extension"
    try:
        find_compiler()
    except CompilerError as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "none")

SOURCE = """
#include "vector.hpp"

using namespace recurra::RECURRA_ISA;

%s
template <class T>
static void run(int function, const T* from, T* to, int64_t count) {
  typedef typename Vectors<T>::type V;
  for (int64_t k = 0; k < count; k += Vectors<T>::width) {
    const V x = load<V>(from + k);
    switch (function) {
%s
    }
  }
}

extern "C" void run32(int function, const float* from, float* to, int64_t count) { run(function, from, to, count); }
extern "C" void run64(int function, const double* from, double* to, int64_t count) { run(function, from, to, count); }
"""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ctypes.CDLL]:
    """The functions compiled from the headers that travel inside the extension, by instruction set."""
    native = extension._native
    assert native is not None
    folder = tmp_path_factory.mktemp("vector")
    Path(folder, "vector.hpp").write_text(native.headers()["vector.hpp"])
    cases = "\n".join(f"      case {k}: store<V>(to + k, vector_{name}(x)); break;" for k, name in enumerate(EVERY))
    Path(folder, "functions.cpp").write_text(SOURCE % (cpp_maths(PERIODIC), cases))

    @cache
    def library(instruction_set: str) -> ctypes.CDLL:
        width, flags = FLAGS[instruction_set]
        made = Path(folder, f"{instruction_set}.so")
        common = ["-std=c++17", "-fno-math-errno", "-fPIC", "-shared", "-Wno-psabi", f"-DRECURRA_VECTOR_BYTES={width}"]
        subprocess.run([find_compiler(), *common, *flags.split(), "functions.cpp", "-o", made], cwd=folder, check=True)
        return ctypes.CDLL(str(made))

    return library


@dataclass(frozen=True)
class Engine:
    """The functions of one instruction set."""

    library: ctypes.CDLL

    def compute(self, name: str, values: Any) -> Any:
        """A function of an array of floats."""
        given = np.pad(values, (0, -len(values) % 16))
        found = np.empty_like(given)
        run = self.library.run32 if values.dtype == np.float32 else self.library.run64
        size = ctypes.c_int64(len(given))
        run(EVERY.index(name), ctypes.c_void_p(given.ctypes.data), ctypes.c_void_p(found.ctypes.data), size)
        return found[: len(values)]

    def assert_within_bound(self, name: str, values: Any, exact: Any) -> None:
        found = errors(self.compute(name, values), exact)
        worst = int(np.argmax(found))
        assert found[worst] <= BOUNDS[name], f"{found[worst]} ULP at {values[worst]!r}"


@pytest.fixture(params=INSTRUCTION_SETS)
def functions(request: pytest.FixtureRequest, libraries: Callable[[str], ctypes.CDLL]) -> Engine:
    return Engine(libraries(request.param))


def truth(name: str, values: Any) -> Any:
    """In longer floats: of 64 bits by torch's, and of 80 by numpy's functions."""
    if values.dtype == np.float32:
        return getattr(ops, name)(torch.from_numpy(values).double()).numpy()
    exact = values.astype(np.longdouble)
    with np.errstate(over="ignore"):
        if name == "sigmoid":
            return 1 / (1 + np.exp(-exact))
        if name == "softplus":
            # Beyond 20 the value itself, as in torch.
            return np.where(exact > 20, exact, np.log1p(np.exp(np.minimum(exact, 20))))
        return getattr(np, name)(exact)


def errors(found: Any, exact: Any) -> Any:
    """In ULP of the truth; below the smallest normal number, in its ULP."""
    size = np.finfo(found.dtype)
    _, exponent = np.frexp(np.maximum(np.abs(exact), exact.dtype.type(size.tiny)))
    return np.abs(found.astype(exact.dtype) - exact) * np.ldexp(exact.dtype.type(1), size.nmant + 1 - exponent)


def in_range(name: str, values: Any) -> Any:
    """Those for which the bound holds."""
    values = values[np.isfinite(values)]
    limit = LIMIT[values.dtype.type]
    if name == "exp":
        return values[np.abs(values) <= limit]
    if name in ("sqrt", "log"):
        return values[values >= np.finfo(values.dtype).tiny]
    return values[values >= -limit] if name in ("sigmoid", "softplus") else values


def random_bits(dtype: Any, count: int) -> Any:
    bits = np.random.default_rng(0).integers(0, 2 ** (8 * dtype().itemsize), count, np.uint64)
    with np.errstate(over="ignore"):
        return bits.astype(f"u{dtype().itemsize}").view(dtype)


@cache
def over_all_magnitudes(name: str, dtype: Any) -> tuple[Any, Any]:
    """Values, and the truth of them."""
    values = in_range(name, random_bits(dtype, 1 << 19))
    return values, truth(name, values)


@cache
def where_gates_are(name: str, dtype: Any) -> tuple[Any, Any]:
    draw = np.random.default_rng(1)
    chosen = [draw.normal(0, scale, 1 << 16) for scale in (1e-6, 0.01, 1.0, 8.0)]
    chosen.append(np.linspace(-20, 20, 1 << 17))
    if name == "log":
        # Where the mantissa is taken from one exponent or the next, and around 1, where the logarithm is small.
        chosen += [around(np.ldexp([2 / 3, 4 / 3, 1.0], k), dtype) for k in range(-20, 21)]
    else:
        # Where the argument's reduction changes from one multiple of ln 2 to the next.
        halves = (np.arange(-120, 121) + 0.5) * np.log(2) * (0.5 if name == "tanh" else 1)
        chosen.append(around(halves, dtype))
    if name == "softplus":
        chosen.append(around(np.array([20.0]), dtype))
    values = in_range(name, np.concatenate(chosen).astype(dtype))
    return values, truth(name, values)


def around(values: Any, dtype: Any) -> Any:
    return np.concatenate([values * (1 + k * np.finfo(dtype).eps) for k in range(-40, 41)])


@pytest.mark.parametrize("name", BOUNDS)
def test_errors(functions: Engine, name: str) -> None:
    for where, dtype in product((over_all_magnitudes, where_gates_are), TYPES):
        functions.assert_within_bound(name, *where(name, dtype))


def every_float32() -> Iterator[Any]:
    count = 1 << 16  # which the cache holds
    for start in range(0, 1 << 32, count):
        yield np.arange(start, start + count, dtype=np.uint64).astype(np.uint32).view(np.float32)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", BOUNDS)
def test_over_every_float32(libraries: Callable[[str], ctypes.CDLL], name: str) -> None:
    engines = [Engine(libraries(instruction_set)) for instruction_set in INSTRUCTION_SETS]
    for values in every_float32():
        with np.errstate(invalid="ignore"):
            values = in_range(name, values)
        if len(values):
            exact = truth(name, values)
            for engine in engines:
                engine.assert_within_bound(name, values, exact)


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
def test_special_values(functions: Engine, dtype: Any) -> None:
    inf, nan = np.inf, np.nan
    tiny, least = np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal
    given = np.array([inf, -inf, nan, 0.0, -0.0, tiny, -tiny, least, -least], dtype=dtype)
    half = np.log(dtype(2))
    expected = {
        "exp": [inf, 0, nan, 1, 1, 1, 1, 1, 1],
        "tanh": [1, -1, nan, 0.0, -0.0, tiny, -tiny, least, -least],
        "relu": [inf, 0, nan, 0, 0, tiny, 0, least, 0],
        "absolute": [inf, inf, nan, 0, 0, tiny, tiny, least, least],
        "sqrt": [inf, nan, nan, 0, -0.0, np.sqrt(tiny), nan, np.sqrt(least), nan],
        "log": [inf, nan, nan, -inf, -inf, np.log(tiny), nan, -inf, nan],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(functions.compute(name, given), np.array(values, dtype=dtype), err_msg=name)
    sigmoid, softplus = (functions.compute(name, given) for name in ("sigmoid", "softplus"))
    np.testing.assert_array_equal(sigmoid[[0, 2]], np.array([1, nan], dtype=dtype))
    np.testing.assert_array_max_ulp(sigmoid[3:], np.full(6, 0.5, dtype=dtype), 1)
    np.testing.assert_array_equal(softplus[[0, 2]], np.array([inf, nan], dtype=dtype))
    np.testing.assert_array_max_ulp(softplus[3:], np.full(6, half, dtype=dtype), 2)
    # Below the limit their value there.
    assert 0 <= sigmoid[1] < 2e-38
    assert 0 <= softplus[1] < 2e-38


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
def test_periodic_functions(functions: Engine, dtype: Any) -> None:
    distance, limit = DISTANCES[dtype]
    everything = random_bits(dtype, 1 << 19)
    everything = everything[np.isfinite(everything)]
    near = np.random.default_rng(1).uniform(-1, 1, (2, 1 << 17))
    given = np.concatenate([everything, (near[0] * 30).astype(dtype), (near[1] * limit).astype(dtype)])
    within = given[np.abs(given) <= limit]
    for name in ("sin", "cos"):
        assert np.abs(functions.compute(name, within) - truth(name, within)).max() <= distance, name
        assert np.abs(functions.compute(name, given)).max() <= 1 + 1e-6
        assert np.isnan(functions.compute(name, np.array([np.inf, -np.inf, np.nan], dtype))).all(), name
    whole = np.arange(-50, 50).astype(dtype)
    given = np.concatenate(
        [given, whole, np.nextafter(whole, dtype(np.inf)), np.array([np.inf, -np.inf, np.nan], dtype)]
    )
    np.testing.assert_array_equal(functions.compute("floor", given), np.floor(given))


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
def test_beyond_the_limits(functions: Engine, dtype: Any) -> None:
    limit = LIMIT[dtype]
    beyond = np.array([limit * 1.001, limit * 2, np.finfo(dtype).max], dtype=dtype)
    compute = functions.compute
    assert (compute("exp", beyond) == np.inf).all()
    assert (compute("exp", -beyond) == 0).all()
    assert (compute("sigmoid", beyond) == 1).all()
    assert (compute("tanh", beyond) == 1).all()
    assert (compute("tanh", -beyond) == -1).all()
    assert (compute("softplus", beyond) == beyond).all()
    at_limit = np.array([limit, -limit], dtype=dtype)
    assert np.isfinite(compute("exp", at_limit)).all()
    for name in ("sigmoid", "softplus"):
        assert (compute(name, -beyond) == compute(name, at_limit)[1]).all()
        assert 0 < compute(name, at_limit)[1] < 2e-38


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
def test_every_lane_computes_the_same(functions: Engine, dtype: Any) -> None:
    values = random_bits(dtype, 1024)
    for name in EVERY:
        turned = functions.compute(name, values[::-1].copy())[::-1]
        np.testing.assert_array_equal(functions.compute(name, values), turned, err_msg=name)


@dataclass(frozen=True)
class Functions(Cell):
    """Each part of the state is one function of the input."""

    gates = ("a",)
    state = NAMES
    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(**{name: getattr(ops, name)(x.a) for name in NAMES})


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
def test_a_cell_s_update_computes_them(libraries: Callable[[str], ctypes.CDLL], dtype: Any) -> None:
    """One step of the engine, straight to it, so that no matrix product touches the values.

    Subnormal numbers are zero within the engine, and so are results that are put together from them. The last bits may
    differ: in a cell the compiler may fuse other multiplications with additions.
    """
    smallest = 8 * np.finfo(dtype).tiny
    values = np.concatenate([random_bits(dtype, 1 << 12), np.linspace(-30, 30, 1 << 12).astype(dtype)])
    values[np.abs(values) < smallest] = 0
    given = torch.from_numpy(values).reshape(1, -1, 64)
    state = tuple(given.new_zeros(given.shape[1:]) for _ in NAMES)
    output, final = torch.empty_like(given), tuple(map(torch.empty_like, state))
    filled = extension.Call(*given.shape, 64, heads=1, threads=1, x=given.data_ptr(), output=output.data_ptr())
    set_pointers(filled.initial, state)
    set_pointers(filled.final_state, final)
    launch(Launch(extension.best(Functions()).forward, filled, 8 * given.itemsize))
    functions = Engine(libraries(extension.instruction_set()))
    for name, part in zip(NAMES, final, strict=True):
        found, expected = part.numpy().reshape(-1), functions.compute(name, values)
        # Each of the two is within its bound of the truth.
        tolerance = 2 * BOUNDS.get(name, 0) * np.finfo(dtype).eps
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=smallest, err_msg=name)
