"""Ridge regression from sums: against least squares, piece by piece, left out, and how a penalty is chosen."""

import pytest
import torch
from torch import Tensor, nn

from recurra.errors import DataError, ParameterError, ShapeError
from recurra.models import RidgeSums, solve_ridge


def rows(count: int, seed: int = 0, noise: float = 0.3) -> tuple[Tensor, Tensor]:
    """Features (N, 6) far from zero and targets (N, 2), of the same weights for every seed."""
    weights = torch.randn(6, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=generator, dtype=torch.float64) + 5
    return x, x @ weights + 2 + noise * torch.randn(count, 2, generator=generator, dtype=torch.float64)


def sums_of(x: Tensor, y: Tensor, at_once: int = 1000) -> RidgeSums:
    sums = RidgeSums(x.shape[1], y.shape[1])
    for start in range(0, len(x), at_once):
        sums.add(x[start : start + at_once], y[start : start + at_once])
    return sums


def by_least_squares(x: Tensor, y: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """The weights and bias that torch finds for rows of zeros added to centred ones; the penalty is that of |W|^2."""
    features = x.shape[1]
    above = torch.cat([x - x.mean(0), penalty**0.5 * torch.eye(features, dtype=x.dtype)])
    weight = torch.linalg.lstsq(above, torch.cat([y - y.mean(0), y.new_zeros(features, y.shape[1])])).solution.T
    return weight, y.mean(0) - weight @ x.mean(0)


def unit(x: Tensor) -> float:
    """N times the mean variance of a feature."""
    return float((x - x.mean(0)).square().sum(0).mean())


@pytest.mark.parametrize("penalty", [1e-9, 0.1, 10.0])
def test_it_is_ridge_regression(penalty: float) -> None:
    x, y = rows(50)
    found = solve_ridge(sums_of(x, y), penalties=[penalty])
    weight, bias = by_least_squares(x, y, penalty * unit(x))
    torch.testing.assert_close(found.weight, weight, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found.bias, bias, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found.predict(x), x @ weight.T + bias, rtol=1e-6, atol=1e-8)


def test_pieces_are_the_whole_and_a_row_without_target_is_left_out() -> None:
    x, y = rows(40)
    y[7, 1] = torch.nan
    seen = torch.arange(40) != 7
    whole, pieces = sums_of(x[seen], y[seen]), sums_of(x, y, at_once=7)
    assert pieces.count == whole.count == 39
    for name in ("gram", "cross", "squares", "feature_sum", "target_sum"):
        torch.testing.assert_close(getattr(pieces, name), getattr(whole, name), rtol=1e-12, atol=0)


def test_errors_follow_from_the_sums() -> None:
    x, y = rows(30)
    weight, bias = torch.randn(2, 6, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    expected = (x @ weight.T + bias - y).square().mean(0)
    torch.testing.assert_close(sums_of(x, y).errors(weight, bias), expected, rtol=1e-9, atol=0)


def test_what_is_left_out_is_what_is_fitted_without_it() -> None:
    x, y = rows(20)
    penalty = 0.3 * unit(x)
    left_out = solve_ridge(sums_of(x, y), penalties=[0.3]).left_out(x, y)
    for row in range(0, 20, 6):
        others = torch.arange(20) != row
        weight, bias = by_least_squares(x[others], y[others], penalty)
        torch.testing.assert_close(left_out[row], weight @ x[row] + bias, rtol=1e-8, atol=1e-8)


def test_validation_chooses_the_penalty() -> None:
    (x, y), (vx, vy) = rows(8, 1, noise=3.0), rows(500, 2, noise=3.0)
    penalties = (1e-6, 1e-2, 1.0, 100.0)
    found = solve_ridge(sums_of(x, y), sums_of(vx, vy), penalties)
    errors = {}
    for penalty in penalties:
        weight, bias = by_least_squares(x, y, penalty * unit(x))
        errors[penalty] = (vx @ weight.T + bias - vy).square().mean(0)
    assert found.penalty == min(errors, key=lambda one: float(errors[one].mean())) != penalties[0]
    torch.testing.assert_close(found.errors, errors[found.penalty], rtol=1e-6, atol=0)


def test_without_validation_generalised_cross_validation_chooses() -> None:
    x, y = rows(25, 3, noise=2.0)
    penalties = (1e-6, 1e-2, 1.0, 100.0)
    found, scores = solve_ridge(sums_of(x, y), penalties=penalties), {}
    centred = x - x.mean(0)
    for penalty in penalties:
        weight, bias = by_least_squares(x, y, penalty * unit(x))
        inner = centred.T @ centred + penalty * unit(x) * torch.eye(6, dtype=torch.float64)
        freedom = 1 + float(torch.trace(torch.linalg.solve(inner, centred.T @ centred)))
        scores[penalty] = (x @ weight.T + bias - y).square().mean(0) / (1 - freedom / 25) ** 2
    assert found.penalty == min(scores, key=lambda one: float(scores[one].mean()))
    torch.testing.assert_close(found.errors, scores[found.penalty], rtol=1e-6, atol=0)


def test_more_features_than_rows_and_features_without_variance() -> None:
    x, y = rows(4)
    assert bool(solve_ridge(sums_of(x, y)).weight.isfinite().all())
    constant = solve_ridge(sums_of(torch.ones(4, 6), y))
    torch.testing.assert_close(constant.predict(x), y.mean(0).expand(4, 2))


def test_a_linear_layer_computes_it() -> None:
    x, y = rows(30)
    layer, found = nn.Linear(6, 2), solve_ridge(sums_of(x, y))
    found.copy_to(layer)
    torch.testing.assert_close(layer(x.float()).double(), found.predict(x), rtol=1e-4, atol=1e-4)


def test_refusals() -> None:
    x, y = rows(5)
    with pytest.raises(ShapeError, match="features: expected shape"):
        RidgeSums(5, 2).add(x, y)
    with pytest.raises(DataError, match="infinite"):
        RidgeSums(6, 2).add(x / 0, y)
    with pytest.raises(DataError, match="no rows"):
        solve_ridge(sums_of(x, y * torch.nan))
    with pytest.raises(ParameterError, match="penalties"):
        solve_ridge(sums_of(x, y), penalties=[0.0])
