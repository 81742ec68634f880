"""What the pictures of an inspection show: the numbers that they are of, where a reader looks for them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from known_systems import linear, rotation
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import recurra
from recurra.inspection import (
    Attribution,
    Forgetting,
    GateSaturation,
    GradientByLag,
    LagCurve,
    StateStatistics,
    fit_decay,
    gradient_by_lag,
    jacobian_norms,
    lyapunov_spectrum,
    pictures,
    record,
    recurrent_spectra,
)


def lines(ax: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """x and y of each line that has a label."""
    return {
        str(line.get_label()): (np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float))
        for line in ax.lines
        if not str(line.get_label()).startswith("_")
    }


def scaled_rotation(factor: float, steps: int = 30) -> Any:
    return record(linear(factor * rotation(4)), torch.randn(3, steps, 4, dtype=torch.float64))


def test_the_gradient_by_lag_with_its_fit_and_its_horizon(tmp_path: Path, drawn: list[Figure]) -> None:
    found = gradient_by_lag(scaled_rotation(0.8))
    pictures.draw_gradient_by_lag(found, tmp_path / "a.png")
    (ax,) = drawn[0].axes
    assert (ax.get_title("left"), ax.get_yscale()) == ("layer 1", "log")
    shown = lines(ax)
    fit = next(label for label in shown if label.startswith("fit"))
    lags, norms = shown["state"]
    np.testing.assert_allclose(norms, found.whole()[0].norms)
    np.testing.assert_allclose(norms / norms[0], 0.8**lags, rtol=1e-6)
    np.testing.assert_allclose(shown[fit][1], norms, rtol=1e-6)
    horizon = math.log(0.01) / math.log(0.8)
    assert f"{horizon:.3g} steps" in fit
    (dotted,) = [line for line in ax.lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(np.asarray(dotted.get_xdata(), float), horizon, rtol=1e-6)


def test_no_horizon_is_fitted_to_noise(tmp_path: Path, drawn: list[Figure]) -> None:
    norms = np.array([1.0, 1.0, 0.5, 1.0, 0.5, 1.0, 0.5, 1.0, 0.6])
    decay = fit_decay(norms)
    assert decay.r_squared < 0.5
    assert math.isnan(decay.horizon)
    assert math.isnan(decay.time_constant)
    pictures.draw_gradient_by_lag(
        GradientByLag((LagCurve("layer 1", "state", norms, decay),), 1.0, None, 3), tmp_path / "a.png"
    )
    (ax,) = drawn[0].axes
    assert [line.get_linestyle() for line in ax.lines] == ["-", "None"]
    assert [str(line.get_label()).partition(" (")[0] for line in ax.lines] == ["state", "no horizon can be fitted"]


def test_a_gradient_that_reaches_nothing_is_said(tmp_path: Path, drawn: list[Figure]) -> None:
    found = gradient_by_lag(scaled_rotation(0.8), lambda output: 0 * output[0].sum())
    pictures.draw_gradient_by_lag(found, tmp_path / "a.png")
    (ax,) = drawn[0].axes
    assert ax.get_yscale() == "linear"
    assert [text.get_text() for text in ax.texts] == ["no gradient reaches this layer"]


def test_jacobian_norms_by_step_and_by_lag(tmp_path: Path, drawn: list[Figure]) -> None:
    pictures.draw_jacobian_norms(jacobian_norms(scaled_rotation(0.9, 12)), tmp_path / "a.png", first_step=5, step="day")
    by_step, by_lag = drawn[0].axes
    (steps, norms), (lags, products) = lines(by_step)["layer 1"], lines(by_lag)["layer 1"]
    assert steps[0] == 5
    assert by_step.get_xlabel() == "day"
    np.testing.assert_allclose(norms[np.isfinite(norms)], 0.9)
    np.testing.assert_allclose(products, 0.9**lags)
    assert by_lag.get_yscale() == "log"
    # The line of 1, between what vanishes and what explodes, is in sight.
    assert by_step.get_ylim()[1] > 1


def test_lyapunov_exponents_and_those_below_the_picture(tmp_path: Path, drawn: list[Figure]) -> None:
    recurrent = torch.diag(torch.tensor([1.2, 0.5, 1e-7], dtype=torch.float64))
    (found,) = lyapunov_spectrum(record(linear(recurrent), torch.randn(2, 60, 3, dtype=torch.float64)))
    pictures.draw_lyapunov((found,), tmp_path / "a.png")
    (ax,) = drawn[0].axes
    ((label, (places, exponents)),) = lines(ax).items()
    assert label == f"layer 1: largest {math.log(1.2):+.3f}"
    assert places.tolist() == [1, 2, 3]
    np.testing.assert_allclose(exponents, [math.log(1.2), math.log(0.5), -8.0])


def test_eigenvalues_in_the_complex_plane(tmp_path: Path, drawn: list[Figure]) -> None:
    spectra = recurrent_spectra(record(recurra.GRU(3, 4, num_layers=2), torch.randn(5, 2, 3)))
    pictures.draw_recurrent_spectra(spectra, tmp_path / "a.png")
    assert [ax.get_title("left") for ax in drawn[0].axes] == ["layer 1", "layer 2"]
    for ax in drawn[0].axes:
        here = [spectrum for spectrum in spectra if spectrum.name == ax.get_title("left")]
        assert [str(points.get_label()).partition(":")[0] for points in ax.collections] == ["r", "z", "n"]
        for points, spectrum in zip(ax.collections, here, strict=True):
            shown = np.asarray(points.get_offsets())
            np.testing.assert_allclose(shown[:, 0] + 1j * shown[:, 1], spectrum.eigenvalues, rtol=1e-6)
        # All of them, and the unit circle, are in sight.
        assert ax.get_xlim()[1] >= max(1.0, *(spectrum.radius for spectrum in spectra))
        assert ax.get_aspect() == 1


def test_gates_by_unit_and_those_that_are_stuck(tmp_path: Path, drawn: list[Figure]) -> None:
    mean, spread = np.array([0.7, 0.99, 0.2]), np.array([0.1, 0.005, 0.1])
    stuck = np.array([0.0, 1.0, 0.0])
    forget = GateSaturation("layer 1", "f", "sigmoid", np.zeros(3), stuck, mean, mean - spread, mean + spread)
    new = GateSaturation("layer 1", "g", "tanh", np.zeros(3), np.zeros(3), -mean, -mean - spread, -mean + spread)
    pictures.draw_gates((forget, new), tmp_path / "a.png")
    left, right = drawn[0].axes
    assert [ax.get_title("left").split("\n")[0] for ax in (left, right)] == ["layer 1: f, sigmoid", "layer 1: g, tanh"]
    assert "33% near 1" in left.get_title("left")
    means = [np.asarray(points.get_offsets()).tolist() for points in left.collections if points.get_label() == "mean"]
    # Sorted by mean, and the stuck unit apart.
    assert means == [[[1, 0.2], [2, 0.7]], [[3, 0.99]]]
    (ranges,) = [c for c in left.collections if c.get_label() == "stuck at one end"]
    np.testing.assert_allclose(ranges.get_segments(), [[[3, 0.985], [3, 0.995]]])  # type: ignore[attr-defined]
    assert left.get_ylim() == (-0.03, 1.03)
    assert right.get_ylim() == (-1.03, 1.03)


def test_states_by_unit_and_those_that_never_move(tmp_path: Path, drawn: list[Figure]) -> None:
    mean, deviation = np.array([0.5, -0.25, 0.0]), np.array([0.2, 0.0, 0.1])
    state = StateStatistics("layer 1", "h", mean, deviation, mean - 2 * deviation, mean + 2 * deviation)
    assert state.dead.tolist() == [1]
    pictures.draw_states((state,), tmp_path / "a.png")
    (ax,) = drawn[0].axes
    assert ax.get_title("left") == "layer 1: h"
    found: dict[str, Any] = {str(collection.get_label()): collection for collection in ax.collections}
    np.testing.assert_allclose(found["never moves"].get_offsets(), [[1, -0.25]])
    np.testing.assert_allclose(found["range"].get_segments()[2], [[3, 0.1], [3, 0.9]])
    np.testing.assert_allclose(found["mean and deviation"].get_segments()[1], [[2, -0.1], [2, 0.1]])


def test_an_attribution_adds_and_takes_away(tmp_path: Path, drawn: list[Figure]) -> None:
    added = np.array([[0.5, -0.25, 0.0, 1.0]])
    output, baseline = np.array([2.25]), np.array([1.0])
    exact = Attribution("integrated gradients", (added[:, :2, None], added[:, 2:, None]), output, baseline, 8)
    quick = Attribution("gradient x input", (2 * added[:, :2, None], 2 * added[:, 2:, None]), output, baseline, 1)
    pictures.draw_attribution(
        exact, quick, tmp_path / "a.png", first_step=-3, output="the price", unit="EUR", labels=list("abcd")
    )
    (ax,) = drawn[0].axes
    bars = [(round(bar.get_x() + bar.get_width() / 2), bar.get_height()) for bar in ax.patches]  # type: ignore[attr-defined]
    assert sorted(bars) == [(-3, 0.5), (-2, -0.25), (0, 1.0)]
    np.testing.assert_allclose(lines(ax)["gradient x input"], ([-3, -2, -1, 0], 2 * added[0]))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == list("abcd")
    assert ax.get_ylabel() == "added to the output (EUR)"
    assert "the price: 2.25" in ax.get_title("left")
    assert "+1.25" in ax.get_title("left")
    # Between the two inputs.
    (boundary,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert set(np.asarray(boundary.get_xdata())) == {-1.5}


def test_what_is_forgotten_and_from_where_on(tmp_path: Path, drawn: list[Figure]) -> None:
    lags = np.array([0, 1, 2, 3, 4])
    change = np.array([[4.0, -2.0], [2.0, -2.0], [0.01, 0.0], [0.01, 0.0], [0.0, 0.0]])
    found = Forgetting(lags, change, np.array([1.0, 2.0]))
    pictures.draw_forgetting(found, tmp_path / "a.png", output="the price", unit="EUR")
    (ax,) = drawn[0].axes
    curve, reach = ax.lines
    np.testing.assert_allclose(np.asarray(curve.get_xdata(), float), lags)
    np.testing.assert_allclose(np.asarray(curve.get_ydata(), float), [3.0, 2.0, 0.005, 0.005, 0.0])
    assert set(np.asarray(reach.get_xdata())) == {found.reach()} == {2}
    assert "2 steps" in ax.texts[0].get_text()
    assert ax.get_ylim()[0] == 0
    assert "EUR" in ax.get_ylabel()
    assert "the price" in ax.get_title("left")
