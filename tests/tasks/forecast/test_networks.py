from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_series import long_frame, series_set, tiny, untrained, weekly_values, windows_of

import recurra
from recurra.data.series.series_set import SeriesSet
from recurra.data.series.windows import Window
from recurra.errors import ExportError, RunError
from recurra.models.forecasting.category_embedding import CategoryEmbedding
from recurra.models.forecasting.network import mean_loss
from recurra.models.forecasting.readout import Baseline
from recurra.models.forecasting.recursive import RecursiveNetwork
from recurra.tasks.forecast.model import ForecastModel

CELLS = ["lstm", "gru", "elman"]


def _data() -> SeriesSet:
    generator = np.random.default_rng(0)
    return series_set(*generator.normal(5, 2, size=(4, 60)), past=1, known=2)


def _recursive(cell: str = "lstm", layers: int = 2) -> tuple[ForecastModel, RecursiveNetwork, Window]:
    data = _data()
    fitted = untrained(data, model="recursive", cell=cell, num_layers=layers)
    assert isinstance(fitted.network, RecursiveNetwork)
    window = windows_of(data, fitted.shape).cut(np.arange(4), np.array([40, 45, 50, 6]))
    return fitted, fitted.network.eval(), window


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_teacher_forcing_equals_single_steps_with_carried_state(cell):
    fitted, network, window = _recursive(cell)
    (expected, units), _ = network(window)
    values = units.apply(torch.cat([window.history, window.target], dim=1))
    known = network._known(window, units)
    state, found = None, []
    for t in range(fitted.shape.context + fitted.shape.horizon):
        at = fitted.shape.history - fitted.shape.context + t
        raw, state = network._steps(values[:, :at], at, 1, known[:, t : t + 1], window.categories, units, state)
        found.append(raw)
    torch.testing.assert_close(torch.cat(found, dim=1), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_each_step_of_teacher_forcing_reads_only_what_is_before_it():
    fitted, network, window = _recursive()
    (expected, _), _ = network(window)
    context = fitted.shape.context
    for t in range(fitted.shape.horizon - 1):
        target = window.target.clone()
        target[:, t:] += 5
        (found, _), _ = network(window._replace(target=target))
        torch.testing.assert_close(found[:, : context + t + 1], expected[:, : context + t + 1], rtol=0, atol=0)
        assert (found[:, context + t + 1] != expected[:, context + t + 1]).any(dim=1).all()
    # The past covariates of a step are those of the step before it; of the last, only the horizon knows.
    past = window.past.clone()
    past[:, -1] += 5
    (found, _), _ = network(window._replace(past=past))
    torch.testing.assert_close(found[:, :context], expected[:, :context], rtol=0, atol=0)
    assert (found[:, context] != expected[:, context]).any()


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"model": "recursive", "output": "normal"}, 163),
        ({"output": "student_t"}, 163),
        ({"output": "normal"}, 512),
        ({}, 512),
    ],
    ids=str,
)
def test_fewer_windows_at_once_are_sampled(options: dict[str, Any], most: int):
    """The 100 sample paths of each lie in memory."""
    assert next(untrained(_data(), sample_paths=100, **options)._batches(1000)) == slice(0, most)


@torch.no_grad()
def test_sample_paths_are_those_of_their_seed_and_have_their_shape():
    fitted, network, window = _recursive()
    torch.manual_seed(1)
    first = network.sample_paths(window, fitted.head, 7)
    again = network.sample_paths(window, fitted.head, 7)
    torch.manual_seed(1)
    same = network.sample_paths(window, fitted.head, 7)
    assert first.shape == (4, 7, 5)
    torch.testing.assert_close(first, same, rtol=0, atol=0)
    assert (first != again).all()
    one = Window(*(part[:1] for part in window))
    assert network.sample_paths(one, fitted.head, 1).shape == (1, 1, 5)


@torch.no_grad()
def test_the_first_sample_of_a_path_is_of_the_distribution_that_teacher_forcing_gives():
    fitted, network, window = _recursive()
    (raw, units), _ = network(window)
    at = fitted.shape.context
    expected = fitted.head.quantiles(raw[:, at : at + 1], (0.25, 0.5, 0.75), units, 20_000)[:, 0]
    drawn = network.sample_paths(window, fitted.head, 4000)[:, :, 0]
    found = torch.quantile(drawn, torch.tensor([0.25, 0.5, 0.75]).double(), dim=1).T
    width = expected[:, 2:] - expected[:, :1]
    assert ((found - expected).abs() / width < 0.08).all()


def test_forecasting_leaves_the_generator_of_the_caller_alone():
    data = _data()
    fitted = untrained(data, model="recursive")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = fitted.quantiles(data, np.array([0]), np.array([40]))
    assert torch.rand(1) == expected
    np.testing.assert_array_equal(first, fitted.quantiles(data, np.array([0]), np.array([40])))


def test_many_windows_are_forecast_as_few_are():
    """More windows than go through the network at once; the direct model does not sample."""
    data = _data()
    fitted = untrained(data, hidden_size=4)
    rows, origins = np.arange(1200) % 4, np.arange(1200) % 40 + 15
    found = fitted.quantiles(data, rows, origins)
    few = np.array([0, 511, 512, 1199])
    np.testing.assert_allclose(found[few], fitted.quantiles(data, rows[few], origins[few]), rtol=1e-5)


def test_missing_targets_do_not_count_in_the_loss():
    data = _data()
    fitted = untrained(data)
    window = windows_of(data, fitted.shape).cut(np.arange(2), np.array([40, 45]))
    output, _ = fitted.network(window)
    raw, units = output
    target = window.target.clone()
    target[0, 1:] = torch.nan
    losses = fitted.head.loss(raw, window.target, units)
    expected = (losses[0, 0] + losses[1].sum()) / 6
    torch.testing.assert_close(mean_loss(fitted.head, output, target), expected)
    nothing = mean_loss(fitted.head, output, torch.full_like(target, torch.nan))
    assert nothing == 0
    nothing.backward()
    assert all(p.grad is None or (p.grad == 0).all() for p in fitted.network.parameters())


def test_the_baseline_is_a_mean_of_the_candidates_there_are():
    baseline = Baseline(4, 3)
    candidates = torch.tensor([1.0, 5.0, 100.0]).expand(2, 6, 3)
    available = torch.tensor([True, True, False]).expand(2, 6, 3)
    found = baseline(torch.randn(2, 6, 4), candidates, available)
    assert ((found > 1) & (found < 5)).all()
    only = baseline(torch.randn(2, 6, 4), candidates, torch.tensor([False, True, False]).expand(2, 6, 3))
    torch.testing.assert_close(only, torch.full((2, 6), 5.0))


def test_a_category_not_seen_in_training_says_nothing():
    embedding = CategoryEmbedding([4, 9])
    steps = torch.randn(2, 3, 5)
    found = embedding.append(steps, torch.tensor([[0, 0], [1, 8]]))
    assert found.shape == (2, 3, 5 + embedding.size)
    torch.testing.assert_close(found[..., :5], steps)
    assert (found[0, :, 5:] == 0).all()
    assert (found[1, :, 5:] != 0).all()
    found.sum().backward()
    for table in embedding.tables:
        assert isinstance(table, torch.nn.Embedding)
        assert table.weight.grad is not None
        assert (table.weight.grad[0] == 0).all()


def test_forecasts_that_are_not_finite_are_refused():
    data = series_set(weekly_values(60))
    model = untrained(data)
    for parameter in model.network.parameters():
        parameter.data.fill_(1e18)
    with pytest.raises(RunError, match=r"the forecast of series '0' is not finite.*learning_rate"):
        model.quantiles(data, np.array([0]), np.array([60]))


@pytest.mark.parametrize("model", ["direct", "recursive"])
def test_a_stack_forecasts_and_is_saved(model: str, tmp_path: Path) -> None:
    forecaster = tiny(model=model, architecture=("rglru", "attention:4", "conv:3"), max_steps=2)
    forecaster.fit(long_frame(), progress=False).save(tmp_path / "run")
    assert recurra.load(tmp_path / "run").predict().equals(forecaster.predict())
    assert "1 x (rglru, attention:4, conv:3) of 8" in forecaster.view().words.facts["network"]
    if model == "direct":
        with pytest.raises(ExportError, match=r"encoder: a Stack is a block or .*no form over sequences in ONNX"):
            forecaster.export().write(tmp_path)
