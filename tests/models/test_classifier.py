from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from recurra.cells import GRU, LSTM, Elman
from recurra.errors import ParameterError, ShapeError
from recurra.models import POOLINGS, SequenceClassifier


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=4),
    st.sampled_from([*POOLINGS, ("mean", "max")]),
    st.booleans(),
    st.sampled_from([(0, 1), (3, 1), (3, 2)]),
)
def test_a_sequence_gets_in_a_batch_what_it_gets_alone(lengths, pooling, bidirectional, convolution) -> None:
    filters, stride = convolution
    classifier = SequenceClassifier(
        *(GRU(), 2, 3, 4),
        bidirectional=bidirectional,
        pooling=pooling,
        filters=filters,
        stride=stride,
        dropout=0.5,
    )
    classifier.double().eval()
    inputs = torch.randn(len(lengths), max(lengths) + 1, 2, dtype=torch.float64)
    for row, length in enumerate(lengths):
        inputs[row, length:] = float("nan")
    with torch.no_grad():
        together, _ = classifier(inputs, torch.tensor(lengths))
        assert together.shape == (len(lengths), 4)
        for row, length in enumerate(lengths):
            if length:
                alone, _ = classifier(inputs[row : row + 1, :length])
                torch.testing.assert_close(together[row], alone[0], rtol=1e-10, atol=1e-12)
            else:
                torch.testing.assert_close(together[row], classifier.scores.bias)


@pytest.mark.parametrize(("pooling", "filters"), [("last", 0), ("mean", 2), ("max", 0), ("attention", 2)])
def test_gradients(pooling: str, filters: int) -> None:
    classifier = SequenceClassifier(Elman(), 2, 2, 3, pooling=pooling, filters=filters, stride=2 if filters else 1)
    classifier.double()
    lengths = torch.tensor([3, 1])
    names = [name for name, _ in classifier.named_parameters()]

    def scores(inputs: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(classifier, given, (inputs, lengths))[0]

    inputs = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    parameters = [p.detach().clone().requires_grad_() for p in classifier.parameters()]
    assert torch.autograd.gradcheck(scores, (inputs, *parameters))


def test_it_is_layers_then_pooling_then_a_linear_map() -> None:
    classifier = SequenceClassifier(LSTM(), 3, 4, 2, num_layers=2, pooling=("last", "mean"), bidirectional=False)
    inputs, lengths = torch.randn(2, 5, 3), torch.tensor([5, 2])
    with torch.no_grad():
        logits, state = classifier(inputs, lengths)
        output, expected_state = classifier.recurrent(inputs, lengths=lengths)
        pooled = torch.stack([torch.cat([o[n - 1], o[:n].mean(0)]) for o, n in zip(output, [5, 2], strict=True)])
        torch.testing.assert_close(logits, F.linear(pooled, classifier.scores.weight, classifier.scores.bias))
    for one, other in zip(state, expected_state, strict=True):
        torch.testing.assert_close(one, other)


def test_dropout_is_of_training_alone() -> None:
    torch.manual_seed(1)
    classifier = SequenceClassifier(LSTM(), 3, 4, 2, num_layers=2, dropout=0.5, recurrent_dropout=0.5)
    inputs = torch.randn(2, 5, 3)
    assert not torch.equal(classifier(inputs)[0], classifier(inputs)[0])
    classifier.eval()
    assert torch.equal(classifier(inputs)[0], classifier(inputs)[0])


def test_every_parameter_learns() -> None:
    classifier = SequenceClassifier(
        LSTM(), 3, 8, 2, num_layers=2, pooling=POOLINGS, filters=6, dropout=0.1, recurrent_dropout=0.1
    )
    F.cross_entropy(classifier(torch.randn(8, 5, 3))[0], torch.arange(8) % 2).backward()
    for name, parameter in classifier.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_refusals() -> None:
    refused: dict[str, Any] = {
        "num_labels": 0, "filters": -1, "dropout": 1.5, "hidden_size": 0, "num_layers": 0, "pooling": "sum",
        "recurrent_dropout": -0.1,
    }  # fmt: skip
    for name, value in refused.items():
        given = {"cell": LSTM(), "input_size": 3, "hidden_size": 4, "num_labels": 2, name: value}
        with pytest.raises(ParameterError, match=f"^{name}: "):
            SequenceClassifier(**given)
    classifier = SequenceClassifier(LSTM(), 3, 4, 2)
    for inputs in (torch.zeros(2, 5, 4), torch.zeros(5, 3), torch.zeros(3)):
        with pytest.raises(ShapeError, match=r"inputs: expected shape \(B, T, I = 3\), got"):
            classifier(inputs)
    with pytest.raises(ShapeError, match="lengths"):
        classifier(torch.zeros(2, 5, 3), torch.tensor([5, 6]))
