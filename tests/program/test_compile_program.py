"""Which models have a step, what it computes, and why others have none."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import recurra
from recurra.data.text.word_encoding import Tokens
from recurra.errors import ParameterError, StreamError
from recurra.kernels.native import extension
from recurra.models import (
    ClassifierEnsemble,
    EvidenceClassifier,
    LinearChainCRF,
    RecurrentLanguageModel,
    SequenceClassifier,
    SequenceTagger,
)
from recurra.program import compile_program
from recurra.streaming import Stepper

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")


class Regression(nn.Module):
    """What a user writes: normalised inputs, an LSTM of torch, a residual connection, a linear layer."""

    def __init__(self, batch_first: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.lstm = nn.LSTM(6, 6, num_layers=2, batch_first=batch_first, dropout=0.5)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(12, 5), nn.SiLU(), nn.Linear(5, 2))

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        x = self.norm(x)
        y, state = self.lstm(x, state)
        y = torch.cat([torch.relu(y) + x, y * 0.5 + 1.0], dim=-1)
        return self.head(y), state


class LastState(nn.Module):
    """Many-to-one by the final state of the last layer."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.recurrent, self.out = recurrent, nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.recurrent(x)
        last = state[0][-1] if isinstance(self.recurrent, nn.LSTM) else state[-1]
        return F.log_softmax(self.out(last), dim=-1)


class LastStep(nn.Module):
    """Many-to-one by the output of the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.out = recurra.GRU(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.recurrent(x)
        return torch.softmax(self.out(output[:, -1]).tanh(), dim=-1)


def outputs(model: nn.Module, x: Tensor, batch_first: bool) -> np.ndarray:
    """The module's own result after each beginning of the sequences, (T, B, O)."""
    with torch.no_grad():
        results = []
        for t in range(1, len(x) + 1):
            y = model(x[:t].transpose(0, 1) if batch_first else x[:t])
            y = y[0] if isinstance(y, tuple) else y
            results.append(y if y.dim() == 2 else y[:, -1] if batch_first else y[-1])
    return torch.stack(results).numpy()


def assert_steps(model: nn.Module, x: Tensor, batch_first: bool = False) -> None:
    model.eval()
    steps, _ = Stepper(model)(x.numpy())
    assert np.abs(steps - outputs(model, x, batch_first)).max() < 3e-6


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_module_of_a_user(batch_first: bool) -> None:
    assert_steps(Regression(batch_first), torch.randn(6, 2, 6), batch_first)


def test_training_mode_is_left_as_it_was() -> None:
    model = Regression().train()
    y, _ = Stepper(model)(np.ones(6, np.float32))
    assert model.training
    assert model.lstm.training
    assert np.array_equal(y, Stepper(model.eval())(np.ones(6, np.float32))[0])


@pytest.mark.parametrize(
    "recurrent", [nn.LSTM(4, 5, 2), nn.GRU(4, 5, 2), nn.RNN(4, 5, nonlinearity="relu")], ids=lambda m: type(m).__name__
)
def test_the_final_state_is_the_present_one(recurrent: nn.Module) -> None:
    assert_steps(LastState(recurrent), torch.randn(5, 3, 4))


def test_the_last_step_is_the_present_one() -> None:
    assert_steps(LastStep(), torch.randn(5, 3, 4), batch_first=True)


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell, recurra.LSTMCell, recurra.GRUCell])
def test_cells(kind: Any) -> None:
    cell, x = kind(4, 5), torch.randn(6, 2, 4)
    steps, _ = Stepper(cell)(x.numpy())
    state = None
    for t, step in enumerate(x):
        state = cell(step, state)
        output = state[0] if isinstance(state, tuple) else state
        assert np.abs(steps[t] - output.detach().numpy()).max() < 1e-6


def test_an_accelerated_model() -> None:
    model = Regression()
    recurra.accelerate(model)
    assert_steps(model, torch.randn(4, 2, 6))


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"num_layers": 2, "tied": True}], ids=str)
def test_a_language_model(options: Any) -> None:
    model = RecurrentLanguageModel(recurra.cells.LSTM(), 11, 6, 8, **options).eval()
    ids = torch.randint(0, 11, (7, 3))
    steps, _ = Stepper(model)(ids.numpy())
    features, _ = model(ids.t())
    expected = model.log_probabilities(features).transpose(0, 1).detach().numpy()
    assert np.abs(steps - expected).max() < 3e-6


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention", ("mean", "last", "max", "attention")], ids=str)
def test_a_classifier_as_evidence_grows(pooling: Any) -> None:
    model = SequenceClassifier(recurra.cells.GRU(), 4, 6, 3, bidirectional=False, pooling=pooling)
    assert_steps(model, torch.randn(7, 2, 4), batch_first=True)


def test_evidence_and_ensembles() -> None:
    members = [
        EvidenceClassifier(recurra.cells.LSTM(), 10, 5, 3, 2, bidirectional=False),
        SequenceClassifier(recurra.cells.LSTM(), 10, 5, 3, bidirectional=False),
    ]
    assert_steps(members[0], torch.randn(5, 2, 10), batch_first=True)
    with torch.no_grad():
        members[0].evidence.copy_(torch.tensor([0.7, -0.4]))
    ensemble = ClassifierEnsemble(members).eval()
    x = torch.randn(5, 2, 10)
    steps, _ = Stepper(ensemble)(x.numpy())
    whole, _ = ensemble(x.transpose(0, 1), torch.full((2,), 5))
    assert np.abs(steps[-1] - whole.detach().numpy()).max() < 3e-6


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (recurra.LSTM(3, 4, bidirectional=True), "backward direction begins at the end"),
        (
            nn.Sequential(nn.Linear(2, 3), recurra.GRU(3, 4, bidirectional=True)),
            "^1: bidirectional=True",
        ),
        (SequenceClassifier(recurra.cells.LSTM(), 3, 4, 2), "recurrent: bidirectional=True"),
        (SequenceClassifier(recurra.cells.LSTM(), 3, 4, 2, bidirectional=False, filters=4), "Train with filters=0"),
        (SequenceTagger(recurra.cells.LSTM(), 5, 4, 4, 3), "recurrent: bidirectional=True"),
        (RecurrentLanguageModel(recurra.cells.LSTM(), 20, 4, 16, cutoffs=[5]), "train without `cutoffs`"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 1)), "1: expected 4 features, got 3"),
        (nn.Sequential(nn.Linear(2, 3), nn.Embedding(4, 1)), "1: an embedding reads the input of the model"),
        (nn.Conv1d(3, 4, 3), "the parameter .weight. has no form for one step"),
        (nn.Tanh(), "input_size: expected the number of features"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_models_without_a_step_say_why(model: nn.Module, message: str) -> None:
    with pytest.raises(StreamError, match=message):
        compile_program(model)


class Mean(nn.Module):
    def __init__(self, what: Any) -> None:
        super().__init__()
        self.recurrent, self.what = recurra.GRU(4, 5), what

    def forward(self, x: Tensor) -> Any:
        return self.what(self.recurrent(x)[0])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda y: y.cumsum(0), "cumsum has no form for one step"),
        (lambda y: y[0], "the index 0 has no form"),
        (lambda y: torch.cat([y, y], dim=0), "torch.cat other than of features"),
        (lambda y: y.softmax(0), "a softmax other than over the features"),
        (lambda y: y if y.sum() > 0 else -y, "torch.fx cannot trace it"),
    ],
)
def test_operations_without_a_step_say_which(what: Any, message: str) -> None:
    with pytest.raises(StreamError, match=message):
        compile_program(Mean(what))


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"model: expected a torch.nn.Module, got 'int'"):
        compile_program(3)  # type: ignore[arg-type]


def test_the_input_size_may_be_said() -> None:
    program = compile_program(nn.Tanh(), input_size=4)
    assert (program.input_size, program.output_size, program.state_size) == (4, 4, 0)


def test_the_digest_tells_models_apart() -> None:
    torch.manual_seed(0)
    first, second = recurra.GRU(3, 4), recurra.GRU(3, 4)
    assert compile_program(first).digest() == compile_program(first).digest()
    assert compile_program(first).digest() != compile_program(second).digest()
    second.load_state_dict(first.state_dict())
    assert compile_program(first).digest() == compile_program(second).digest()
    before = recurra.Recurrent(recurra.cells.GRUResetBefore(), 3, 4)
    before.load_state_dict(first.state_dict())
    assert compile_program(before).digest() != compile_program(first).digest()


@pytest.mark.parametrize("crf", [True, False])
def test_a_tagger_tells_tags_as_words_come(crf: bool) -> None:
    """The forward algorithm: the tags of the last word of each beginning, if nothing is known of the end."""
    tags: Any = 4
    if crf:
        allowed = torch.ones(4, 4, dtype=torch.bool)
        allowed[1, 2] = False
        tags = LinearChainCRF(4, allowed, torch.tensor([True, True, False, True]))
        with torch.no_grad():
            tags.transitions.normal_()
            tags.starts.normal_()
    model = SequenceTagger(recurra.cells.GRU(), 9, 5, 6, tags, bidirectional=False).eval()
    words = torch.randint(0, 9, (2, 6))
    with torch.no_grad():
        features = model.embedding.words(words)
        steps, _ = Stepper(model)(features.transpose(0, 1).numpy())
        for length in range(1, 7):
            none = torch.zeros(0, dtype=torch.int64)  # it reads no characters
            beginning = Tokens(words[:, :length], torch.full((2,), length), none, none, none)
            whole, _ = model(beginning)
            assert np.abs(steps[length - 1] - whole.marginals()[:, -1].numpy()).max() < 2e-6
