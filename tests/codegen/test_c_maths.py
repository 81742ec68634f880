"""The functions written in C: their errors over all magnitudes, special values, and compilers that vectorise."""

import ctypes
import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from recurra.codegen import C_NAMES, maths
from recurra.export.c import find_c_compiler
from recurra.export.c.harness import COMPILER_FLAGS, WARNING_FLAGS

pytestmark = pytest.mark.skipif(find_c_compiler() is None, reason="needs a C compiler")

Floats = NDArray[np.float32]
ONE_ARGUMENT = [name for name in C_NAMES if name not in ("maximum", "minimum")]
# By function: the exact value in float64, the domain, and the error in units in the last place that the C states.
EXACT: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float, float, float]] = {
    "exp": (np.exp, -87, 87, 2),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -87, 200, 3),
    "tanh": (np.tanh, -200, 200, 3),
    "log": (np.log, 1.2e-38, 3.4e38, 3),
    "softplus": (lambda x: np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20)))), -87, 200, 4),
    "sqrt": (np.sqrt, 1.2e-38, 3.4e38, 1),
}


@pytest.fixture(scope="module", params=["as the Makefile", "without fused sums"])
def call(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Floats]:
    """Calls a function of each value of an array."""
    folder = tmp_path_factory.mktemp("maths")
    loops = []
    for name, c_name in C_NAMES.items():
        declared = f"void {name}_each(int n, const float *a, const float *b, float *y)"
        value = f"{c_name}(a[k])" if name in ONE_ARGUMENT else f"{c_name}(a[k], b[k])"
        body = f"    (void)b;\n    for (int k = 0; k < n; ++k)\n        y[k] = {value};"
        loops.append(f"{declared};\n{declared}\n{{\n{body}\n}}\n")
    (folder / "maths.c").write_text("\n".join(["#include <stdint.h>\n", *maths(C_NAMES), *loops]))
    flags = [flag for flag in COMPILER_FLAGS if request.param.startswith("as") or "contract" not in flag]
    compiler = find_c_compiler()
    assert compiler is not None
    command = [compiler, *flags, *WARNING_FLAGS, "-shared", "-fPIC", "maths.c", "-o", "maths.so"]
    subprocess.run(command, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "maths.so"))

    def call(name: str, a: Floats, b: Floats | None = None) -> Floats:
        y = np.empty_like(a)
        other = a if b is None else b
        library[f"{name}_each"](len(a), a.ctypes, other.ctypes, y.ctypes)
        return y

    return call


def floats_between(low: float, high: float) -> Floats:
    """About a million floats of all magnitudes, evenly by their bits."""
    bits = np.arange(0, 2**32, 4001, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = np.linspace(max(low, -30), min(high, 30), 100_001, dtype=np.float32)
    every = np.concatenate([bits[np.isfinite(bits)], near])
    return np.ascontiguousarray(every[(every >= low) & (every <= high)])


@pytest.mark.parametrize("name", EXACT)
def test_errors(call: Callable[..., Floats], name: str) -> None:
    exact, low, high, allowed = EXACT[name]
    x = floats_between(low, high)
    expected = exact(x.astype(np.float64))
    unit = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    error = np.abs(call(name, x) - expected) / unit
    assert error.max() <= allowed, x[error.argmax()]


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [-np.inf, -1000, 88, np.inf], [0, 0, np.inf, np.inf]),
        ("sigmoid", [-np.inf, -1000, 0, np.inf], [0, 0, 0.5, 1]),
        ("tanh", [-np.inf, -0.0, 0, 1e-30, np.inf], [-1, 0, 0, 1e-30, 1]),
        ("log", [0, -1, 1, np.inf], [-np.inf, np.nan, 0, np.inf]),
        ("softplus", [-np.inf, 21, np.inf], [0, 21, np.inf]),
        ("sqrt", [0, -1, 1, 4, np.inf], [0, np.nan, 1, 2, np.inf]),
        ("relu", [-np.inf, -1, 0, 2, np.inf], [0, 0, 0, 2, np.inf]),
        ("floor", [-np.inf, -1.5, -0.25, 0, 0.75, 8388607.5, np.inf], [-np.inf, -2, -1, 0, 0, 8388607, np.inf]),
        ("sin", [0, 1e-30, np.inf], [0, 1e-30, np.nan]),
        ("absolute", [-np.inf, -1, 0, 2, np.inf], [np.inf, 1, 0, 2, np.inf]),
    ],
)
def test_special_values(call: Callable[..., Floats], name: str, x: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(call(name, np.array(x, np.float32)), expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_errors_of_periodic_functions(call: Callable[..., Floats], name: str) -> None:
    """As C states them, not in units of the last place: near the zeros the result is far smaller than the argument."""
    x = floats_between(-2e4, 2e4)
    assert np.abs(call(name, x) - getattr(np, name)(x.astype(np.float64))).max() <= 3e-7
    assert np.abs(call(name, floats_between(-3e38, 3e38))).max() <= 1 + 2e-7


def test_floor_is_exact(call: Callable[..., Floats]) -> None:
    x = np.concatenate([floats_between(-3e38, 3e38), np.arange(-100, 100, dtype=np.float32) / 4])
    np.testing.assert_array_equal(call("floor", x), np.floor(x))


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_nan_stays(call: Callable[..., Floats], name: str) -> None:
    assert np.isnan(call(name, np.full(17, np.nan, np.float32))).all()


@pytest.mark.parametrize(("name", "exact"), [("maximum", np.maximum), ("minimum", np.minimum)])
def test_the_larger_and_the_smaller(call: Callable[..., Floats], name: str, exact: Callable[..., Floats]) -> None:
    a = np.array([1, 2, -np.inf, np.nan, 3, np.nan], np.float32)
    b = np.array([2, 1, np.inf, 3, np.nan, np.nan], np.float32)
    np.testing.assert_array_equal(call(name, a, b), exact(a, b))
