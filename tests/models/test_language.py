from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from recurra.cells import GRU, LSTM
from recurra.errors import ParameterError
from recurra.models import RecurrentLanguageModel

V = 23


def _symbols(batch: int = 3, steps: int = 12) -> torch.Tensor:
    return torch.randint(V, (batch, steps))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2},
        {"tied": True},
        {"tied": True, "embedding_size": 9},
        {"cutoffs": (5, 12), "hidden_size": 16},
    ],
)
def test_carried_state_is_one_long_run(options: dict[str, Any]):
    sizes: dict[str, Any] = {"embedding_size": 6, "hidden_size": 9}
    model = RecurrentLanguageModel(LSTM(), V, **{**sizes, **options}).eval()
    symbols = _symbols()
    whole, last = model(symbols)
    state, parts = None, []
    for segment in symbols.split([5, 1, 6], dim=1):
        output, state = model(segment, state)
        parts.append(output)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    torch.testing.assert_close(state, last)
    resets = torch.zeros(3, 12, dtype=torch.bool)
    resets[1, 7] = True
    anew, _ = model(symbols, resets=resets)
    torch.testing.assert_close(anew[1, 7:], model(symbols[1:2, 7:])[0][0])
    torch.testing.assert_close(anew[0], whole[0])


@pytest.mark.parametrize("cutoffs", [(), (5, 12)])
def test_loss_and_probabilities_agree(cutoffs: tuple[int, ...]):
    model = RecurrentLanguageModel(GRU(), V, 6, 16, cutoffs=cutoffs)
    features, _ = model(_symbols())
    target = _symbols()
    log_p = model.log_probabilities(features)
    assert log_p.shape == (3, 12, V)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(3, 12))
    surprise = model.surprise(features.flatten(0, 1), target.flatten())
    torch.testing.assert_close(surprise, -log_p.gather(2, target.unsqueeze(2)).flatten())
    target[0, 3:] = -100
    loss = model.loss(features, target)
    torch.testing.assert_close(loss, cross_entropy(log_p.flatten(0, 1), target.flatten()))
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.loss(features.detach(), torch.full_like(target, -100)) == 0


def test_tied_weights_are_one():
    model = RecurrentLanguageModel(LSTM(), V, 6, 9, tied=True)
    assert model.weight is model.embedding.weight
    assert model.projection is not None
    assert sum(p.numel() for p in model.parameters()) == V * 6 + V + 9 * 6 + 4 * 9 * (6 + 9 + 2)
    assert RecurrentLanguageModel(LSTM(), V, 9, 9, tied=True).projection is None


def test_embedding_dropout_takes_whole_symbols():
    model = RecurrentLanguageModel(LSTM(), V, 6, 9, embedding_dropout=0.5)
    symbols = torch.arange(V).repeat(1, 2)
    embedded = model._embed(symbols)[0]
    torch.testing.assert_close(embedded[:V], embedded[V:])
    dropped = (embedded == 0).all(1)
    assert 0 < dropped.sum() < 2 * V
    torch.testing.assert_close(embedded[~dropped], 2 * model.embedding(symbols)[0][~dropped])
    torch.testing.assert_close(model.eval()._embed(symbols), model.embedding(symbols))


def test_wrong_arguments_are_named():
    for options, message in (
        ({"cutoffs": (5,), "tied": True}, "tied: expected False with cutoffs"),
        ({"cutoffs": (5, 5)}, "cutoffs: expected increasing numbers, .* 23 symbols"),
        ({"cutoffs": (5, 23)}, "cutoffs: expected increasing numbers, .* 23 symbols"),
        ({"cutoffs": (5, 8)}, "cutoffs: expected"),
        ({"cutoffs": (0,)}, "cutoffs: expected .* number .* 1"),
        ({"embedding_dropout": 2}, "embedding_dropout: expected a number from 0 to 1"),
        ({"vocabulary_size": 1}, "vocabulary_size: expected .* number .* 2"),
    ):
        with pytest.raises(ParameterError, match=message):
            RecurrentLanguageModel(LSTM(), **{"vocabulary_size": V, "embedding_size": 6, "hidden_size": 9, **options})
