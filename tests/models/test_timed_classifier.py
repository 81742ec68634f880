"""A classifier whose layers read the time: what it computes, streams and exports."""

from pathlib import Path

import pytest
import torch

import covering
from recurra import Recurrent, Stepper, cells
from recurra.cells import Cell
from recurra.errors import ParameterError, StreamError
from recurra.export.c import export_c
from recurra.export.onnx import export_onnx
from recurra.export.torch_script import export_torch
from recurra.models import SequenceClassifier

TIMED: list[Cell] = [cells.TimedCfC(), cells.TimeLSTM(), cells.GRUD()]


def classifier_of(cell: Cell, bidirectional: bool = False, elapsed_size: int = 1) -> SequenceClassifier:
    return SequenceClassifier(cell, 3, 4, 2, 2, bidirectional, elapsed_size=elapsed_size).eval()


@pytest.mark.parametrize("cell", TIMED, ids=str)
def test_the_last_features_are_the_times(cell: Cell) -> None:
    model, x = classifier_of(cell, True), torch.rand(2, 5, 3)
    output, _ = model.recurrent(x, lengths=[5, 3], elapsed=x[:, :, 2:])
    expected = model.scores(model.pooling(output, torch.tensor([5, 3])))
    torch.testing.assert_close(model(x, [5, 3])[0], expected)


@pytest.mark.parametrize("cell", TIMED, ids=str)
def test_a_stream_and_its_c_have_the_scores_of_the_whole(cell: Cell, tmp_path: Path) -> None:
    model, x = classifier_of(cell, elapsed_size=2 if isinstance(cell, cells.GRUD) else 1), torch.rand(5, 3)
    with torch.no_grad():
        expected = model(x[None])[0][0]
    scores, _ = Stepper(model)(x[:, None])
    torch.testing.assert_close(scores[-1, 0], expected, rtol=1e-5, atol=1e-6)
    assert export_c(model, tmp_path / "c", "timed").files
    with pytest.raises(StreamError, match="bidirectional=True: the backward direction reads the time"):
        Stepper(classifier_of(cell, True))


@covering.parametrize({"cell": TIMED, "bidirectional": [False, True]}, strength=1)
def test_exported_graphs_read_the_times(cell: Cell, bidirectional: bool, tmp_path: Path) -> None:
    model = classifier_of(cell, bidirectional)
    assert export_onnx(model, tmp_path / "model.onnx").checks
    assert export_torch(model, tmp_path / "model.pt", example=torch.rand(2, 4, 3)).checks
    step = export_torch(Recurrent(cell, 3, 4, bidirectional=bidirectional), tmp_path / "layer.pt")
    assert step.checks


@pytest.mark.parametrize("elapsed_size", [1, 2])
def test_missing_values_decay_with_their_age(elapsed_size: int, tmp_path: Path) -> None:
    model = SequenceClassifier(cells.GRUD(), 5, 4, 2, 1, False, elapsed_size=elapsed_size, input_decay=2).eval()
    values, elapsed = torch.randn(2, 6, 2), 3 * torch.rand(2, 6, 1)
    missing = (torch.rand(2, 6, 2) < 0.5).float()
    missing[0, :3, 0] = 1
    assert model.decay is not None
    with torch.no_grad():
        model.decay.weight.copy_(torch.tensor([0.3, 0.1]))
        model.decay.bias.copy_(torch.tensor([0.2, -0.1]))
        inputs, ages = model.decay(values, missing, elapsed)
        for b in range(2):
            last, age, before = torch.zeros(2), torch.zeros(2), torch.zeros(2)
            for t in range(6):
                absent = missing[b, t] > 0
                age = elapsed[b, t] + before * age
                decay = torch.exp(-(model.decay.weight * age + model.decay.bias).clamp(min=0))
                filled = torch.where(absent, last * decay, values[b, t])
                torch.testing.assert_close(inputs[b, t], torch.cat([filled, missing[b, t]]))
                torch.testing.assert_close(ages[b, t], age)
                last, before = torch.where(absent, last, values[b, t]), missing[b, t]
        x = torch.cat([values * (1 - missing), missing, elapsed], 2)
        expected = model(x)[0]
    scores, _ = Stepper(model)(x.transpose(0, 1).contiguous())
    torch.testing.assert_close(scores[-1], expected, rtol=1e-5, atol=1e-6)
    assert export_c(model, tmp_path / "c", "decay").files
    assert export_torch(model, tmp_path / "model.pt", example=x).checks
    assert export_onnx(model, tmp_path / "model.onnx").checks


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(ParameterError, match="input_decay: expected 0, or C with 2 C"):
        SequenceClassifier(cells.GRUD(), 4, 4, 2, elapsed_size=2, input_decay=2)
    with pytest.raises(ParameterError, match="elapsed_size: expected 0, as LSTM"):
        SequenceClassifier(cells.LSTM(), 3, 4, 2, elapsed_size=1)
    with pytest.raises(ParameterError, match="filters: expected 0 with elapsed_size"):
        SequenceClassifier(cells.GRUD(), 3, 4, 2, filters=8, elapsed_size=1)
