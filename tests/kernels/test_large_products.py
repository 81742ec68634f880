"""Large products by the engine: torch's results for any sizes and strides, and the rule that says who makes them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import recurra
from recurra.errors import ParameterError
from recurra.kernels.native import extension, large_products

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="the extension is not installed")

# Around the widths of panels and blocks, and beyond the depth that is packed at a time.
SIZES = st.sampled_from([24, 31, 33, 63, 64, 65, 97, 130, 200, 530])


@pytest.fixture(autouse=True)
def _by_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_PRODUCTS", "engine")
    monkeypatch.setattr(large_products, "_LEAST_OPERATIONS", 0)


def matrix(rows: int, columns: int, dtype: torch.dtype, layout: str) -> Tensor:
    """Random numbers: rows contiguous, columns contiguous, or every second of each."""
    if layout == "rows":
        return torch.randn(rows, columns, dtype=dtype)
    if layout == "columns":
        return torch.randn(columns, rows, dtype=dtype).T
    return torch.randn(2 * rows, 2 * columns, dtype=dtype)[::2, ::2]


LAYOUTS = st.sampled_from(["rows", "columns", "apart"])


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.tuples(SIZES, SIZES, SIZES),
    layouts=st.tuples(LAYOUTS, LAYOUTS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    threads=st.sampled_from([1, 2, 3]),
)
def test_a_product_is_torch_s(
    sizes: tuple[int, int, int], layouts: tuple[str, str], dtype: torch.dtype, threads: int
) -> None:
    rows, columns, depth = sizes
    a, b = matrix(rows, depth, dtype, layouts[0]), matrix(depth, columns, dtype, layouts[1])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = large_products.product(a, b)
    finally:
        torch.set_num_threads(before)
    assert found.is_contiguous()
    tolerance = depth * torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), a.double() @ b.double(), rtol=0, atol=8 * tolerance)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", [(100, 40), (10, 9, 40)])
def test_linear_is_torch_s(shape: tuple[int, ...], biased: bool) -> None:
    inputs, weight = torch.randn(shape), torch.randn(70, 40)
    bias = torch.randn(70) if biased else None
    torch.testing.assert_close(
        large_products.linear(inputs, weight, bias), torch.nn.functional.linear(inputs, weight, bias), rtol=0, atol=1e-4
    )


def test_the_same_input_gives_the_same_bits() -> None:
    a, b = torch.randn(300, 600), torch.randn(600, 200)
    assert torch.equal(large_products.product(a, b), large_products.product(a, b))


def test_not_a_number_stays_in_its_row_and_column() -> None:
    a, b = torch.randn(100, 64), torch.randn(64, 90)
    a[7, 3], b[5, 11] = float("nan"), float("nan")
    wrong = large_products.product(a, b).isnan()
    assert bool(wrong[7].all())
    assert bool(wrong[:, 11].all())
    assert int(wrong.sum()) == 90 + 99


@pytest.mark.parametrize(
    ("name", "set_", "vendor", "expected"),
    [
        ("auto", "avx512", "amd", True),
        ("auto", "avx512", "intel", False),
        ("auto", "avx2", "amd", False),
        ("torch", "avx512", "amd", False),
        ("engine", "avx2", "intel", True),
    ],
)
def test_the_rule(monkeypatch: pytest.MonkeyPatch, name: str, set_: str, vendor: str, expected: bool) -> None:
    monkeypatch.setenv("RECURRA_PRODUCTS", name)
    monkeypatch.setattr(extension, "instruction_set", lambda: set_)
    monkeypatch.setattr(extension, "vendor", lambda: vendor)
    large_products._chosen.cache_clear()
    try:
        assert large_products.runs_here() == expected
    finally:
        large_products._chosen.cache_clear()


def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_PRODUCTS", "mkl")
    with pytest.raises(ParameterError, match=r"RECURRA_PRODUCTS.*engine"):
        large_products.runs_here()


def test_a_layer_gives_the_same_gradients_by_either(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, inputs = recurra.LSTM(64, 96, backend="native"), torch.randn(40, 12, 64, requires_grad=True)

    def gradients(name: str) -> list[Tensor]:
        monkeypatch.setenv("RECURRA_PRODUCTS", name)
        return list(torch.autograd.grad(layer(inputs)[0].square().sum(), [inputs, *layer.parameters()]))

    for ours, torchs in zip(gradients("engine"), gradients("torch"), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-4, atol=1e-3)
