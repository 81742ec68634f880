"""What pictures say where a reader points: the arrays that they are drawn from, at the points where they are drawn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import recurra
from recurra.inspection import (
    Attribution,
    Forgetting,
    GateSaturation,
    JacobianNorms,
    LyapunovSpectrum,
    StateStatistics,
    gradient_by_lag,
    jacobian_norms,
    lyapunov_spectrum,
    pictures,
    record,
    recurrent_spectra,
    unrolled_gradients,
)
from recurra.inspection.pictures.style import panels, save
from recurra.inspection.pictures.values import Curve, Values


def _pixels(panel: dict[str, Any], curve: int) -> np.ndarray:
    """(N, 2), where the values of a curve are drawn, as fractions of the picture from its upper left."""
    return np.column_stack([panel["x"], panel["curves"][curve]["heights"]]).astype(float)


def _drawn(figure: Figure, panel: int, x: Any, y: Any) -> np.ndarray:
    """Where the axes draw points, likewise."""
    points = figure.axes[panel].transData.transform(np.column_stack([x, y]).astype(float))
    across, up = figure.transFigure.inverted().transform(points).T
    return np.column_stack([across, 1 - up])


def test_values_lie_where_they_are_drawn_on_either_scale(tmp_path: Path, drawn: list[Figure]) -> None:
    figure, (left, right) = panels(2)
    x, y = np.array([1, 2, 3, 4]), np.array([1.0, 100.0, 0.0, 1e-3])
    left.plot(x, y)
    right.plot(x, y)
    right.set_yscale("log")
    names = [*"abcd"]
    said = {ax: Values(names, x, (Curve("y", y, "#0072b2"),), heading="of ") for ax in (left, right)}
    found = save(figure, tmp_path / "a.png", said)
    for index, panel in enumerate(found.panels):
        assert (panel["heading"], panel["points"]) == ("of ", names)
        assert panel["curves"][0]["values"] == y.tolist()
        shown = [0, 1, 3] if index else [0, 1, 2, 3]
        np.testing.assert_allclose(_pixels(panel, 0)[shown], _drawn(drawn[0], index, x[shown], y[shown]), atol=1e-4)
    # Zero is nowhere on a logarithmic scale.
    assert found.panels[1]["curves"][0]["heights"][2] is None


def test_what_json_has_no_number_for(tmp_path: Path) -> None:
    figure, (ax,) = panels(1)
    numbers = np.array([np.nan, np.inf, -np.inf, 1.23456789])
    (panel,) = save(figure, tmp_path / "a.png", {ax: Values([*"abcde"], np.arange(5), (Curve("y", numbers),))}).panels
    assert panel["curves"] == [{"name": "y", "values": [None, "∞", "-∞", 1.235, None]}]
    json.dumps(panel, allow_nan=False)


@pytest.mark.parametrize(("points", "kept"), [(2000, 2000), (2001, 2000), (50_000, 2000)])
def test_a_long_curve_is_thinned(points: int, kept: int, tmp_path: Path) -> None:
    figure, (ax,) = panels(1)
    x = np.arange(points)
    ax.plot(x, x)
    names = [f"step {t}" for t in x]
    (panel,) = save(figure, tmp_path / "a.png", {ax: Values(names, x, (Curve("y", x, "#0072b2"),))}).panels
    assert len(panel["x"]) == len(panel["points"]) == len(panel["curves"][0]["values"]) == kept
    numbers = panel["curves"][0]["values"]
    np.testing.assert_allclose(numbers, [float(name.removeprefix("step ")) for name in panel["points"]], rtol=1e-3)
    assert (panel["points"][0], panel["points"][-1]) == (names[0], names[-1])
    assert len(json.dumps(panel)) < 120_000


@pytest.mark.parametrize("layer", ["lstm", "gru"])
def test_every_picture_says_the_arrays_that_it_draws(layer: str, tmp_path: Path) -> None:
    network = {"lstm": recurra.LSTM, "gru": recurra.GRU}[layer](3, 4, num_layers=2)
    recording = record(network, torch.randn(9, 2, 3))
    found = gradient_by_lag(recording)
    for panel, curve in zip(
        pictures.draw_gradient_by_lag(found, tmp_path / "a.png").panels, found.whole(), strict=True
    ):
        assert panel["heading"] == f"{curve.track}: lag "
        assert panel["curves"][0]["name"] == ("whole state" if layer == "lstm" else "state")
        np.testing.assert_allclose(panel["curves"][0]["values"], curve.norms, rtol=1e-3)

    norms = jacobian_norms(recording)
    by_step, by_lag = pictures.draw_jacobian_norms(norms, tmp_path / "a.png", first_step=1).panels
    assert by_step["points"] == [f"step {t}" for t in range(1, 10)]
    assert [curve["name"] for curve in by_step["curves"]] == ["layer 1", "layer 2"]
    np.testing.assert_allclose(by_lag["curves"][3]["values"], norms[1].median, rtol=1e-3)

    exponents = lyapunov_spectrum(recording)
    (panel,) = pictures.draw_lyapunov(exponents, tmp_path / "a.png").panels
    np.testing.assert_allclose(panel["curves"][2]["values"], exponents[1].exponents, rtol=1e-3)

    spectra = recurrent_spectra(recording)
    panel = pictures.draw_recurrent_spectra(spectra, tmp_path / "a.png").panels[1]
    second = np.concatenate([spectrum.eigenvalues for spectrum in spectra if spectrum.name == "layer 2"])
    np.testing.assert_allclose(panel["curves"][2]["values"], np.abs(second), rtol=1e-3)
    assert len(panel["y"]) == len(panel["points"]) == len(second)


def test_arrows_go_by_the_steps_that_they_join(tmp_path: Path) -> None:
    found = unrolled_gradients(record(recurra.GRU(2, 3, bidirectional=True), torch.randn(60, 1, 2)))
    (panel,) = pictures.draw_unrolled(found, tmp_path / "a.png", 1, labels=[f"w{t}" for t in range(60)]).panels
    said = dict(zip(panel["points"], panel["curves"][0]["values"], strict=True))
    forward = next(row for row in found.rows if not row.reverse)
    reverse = next(row for row in found.rows if row.reverse)
    columns = "steps 57–58 (w56 … w57)", "steps 59–60 (w58 … w59)"
    arrow = said[f"{forward.name}: from {columns[1]} to {columns[0]}"]
    assert arrow == pytest.approx(forward.through_time[57], rel=1e-3)
    assert said[f"{reverse.name}: from {columns[0]} to {columns[1]}"] == pytest.approx(
        reverse.through_time[58], rel=1e-3
    )
    assert f"from {forward.name} to the input, {columns[1]}" in said


def test_units_steps_and_lags_go_by_their_names(tmp_path: Path) -> None:
    mean = np.array([0.7, 0.9, 0.2])
    gate = GateSaturation("layer 1", "f", "sigmoid", np.zeros(3), np.zeros(3), mean, mean - 0.1, mean + 0.05)
    (panel,) = pictures.draw_gates((gate,), tmp_path / "a.png").panels
    assert (panel["heading"], panel["points"]) == ("layer 1: gate f of unit ", ["2", "0", "1"])
    assert [curve["values"] for curve in panel["curves"]] == [[0.2, 0.7, 0.9], [0.1, 0.6, 0.8], [0.25, 0.75, 0.95]]

    state = StateStatistics("layer 1", "h", mean, mean / 10, mean - 1, mean + 1)
    (panel,) = pictures.draw_states((state,), tmp_path / "a.png").panels
    assert panel["points"] == ["2", "0", "1"]
    assert panel["curves"][3]["values"] == [1.2, 1.7, 1.9]

    added = np.array([[[0.5], [-0.25]]])
    exact = Attribution("integrated gradients", (added,), np.array([2.0]), np.array([1.75]), 8)
    (panel,) = pictures.draw_attribution(
        exact, exact, tmp_path / "a.png", first_step=-1, unit="EUR", labels=["a", "<b>"]
    ).panels
    assert panel["points"] == ["step -1 (a)", "step 0 (<b>)"]
    assert panel["curves"][0]["name"] == "integrated gradients (EUR)"
    assert panel["curves"][0]["values"] == [0.5, -0.25]

    forgotten = Forgetting(np.array([0, 3]), np.array([[4.0], [1.0]]), np.array([1.0]))
    (panel,) = pictures.draw_forgetting(forgotten, tmp_path / "a.png").panels
    assert panel["points"] == ["all but 0 steps replaced", "all but 3 steps replaced"]
    assert panel["curves"][0]["values"] == [4.0, 1.0]


def test_layers_of_unequal_length_share_a_panel(tmp_path: Path) -> None:
    track = jacobian_norms(record(recurra.GRU(2, 3), torch.randn(6, 1, 2)))[0]
    short = JacobianNorms(
        "short",
        track.by_step[:3],
        track.lags[[0, 2]],
        track.median[[0, 2]],
        track.low[[0, 2]],
        track.high[[0, 2]],
        track.decay,
    )
    by_step, by_lag = pictures.draw_jacobian_norms((track, short), tmp_path / "a.png").panels
    assert by_step["curves"][1]["values"][3:] == [None] * 3
    assert by_lag["curves"][3]["values"][1] is None
    assert by_lag["curves"][3]["values"][2] == by_lag["curves"][0]["values"][2]
    one, two = (
        LyapunovSpectrum(name, np.arange(0.0, -n, -1), np.zeros(n), n, 9, 3, 2) for name, n in (("a", 4), ("b", 2))
    )
    (panel,) = pictures.draw_lyapunov((one, two), tmp_path / "a.png").panels
    assert panel["curves"][2]["values"] == [0.0, -1.0, None, None]
