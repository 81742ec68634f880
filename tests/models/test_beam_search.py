"""Searches against exhaustive enumeration, and against themselves in other batches."""

import math
from itertools import product
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recurra.errors import ParameterError, ShapeError
from recurra.models import Hypothesis, beam_search, ensemble, greedy_search

END = 0


class Toy(NamedTuple):
    """A random recurrent model over V symbols that starts from a state of its own for each sentence."""

    recurrent: Tensor
    embedding: Tensor
    readout: Tensor
    begin: Tensor

    @classmethod
    def draw(cls, symbols: int, sentences: int, seed: int, size: int = 5) -> "Toy":
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        return cls(normal(size, size), 2 * normal(symbols + 1, size), normal(size, symbols), normal(sentences, size))

    def state(self, sentences: slice = slice(None)) -> dict[str, Any]:
        return {"h": self.begin[sentences], "steps": [torch.zeros(len(self.begin[sentences]))], "name": "toy"}

    def tokens(self, sentences: slice = slice(None)) -> Tensor:
        return torch.full((len(self.begin[sentences]),), len(self.embedding) - 1)

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        hidden = torch.tanh(state["h"] @ self.recurrent + self.embedding[tokens])
        return (hidden @ self.readout).log_softmax(1), {**state, "h": hidden, "steps": [state["steps"][0] + 1]}

    def enumerate(self, sentence: int, max_length: int, length_penalty: float = 0.0) -> list[Hypothesis]:
        """All sequences, best first."""
        found = []
        symbols = self.readout.shape[1]
        for length in range(max_length + 1):
            for tokens in product([s for s in range(symbols) if s != END], repeat=length):
                state, last = self.state(slice(sentence, sentence + 1)), self.tokens(slice(0, 1))
                chain = []
                for token in (*tokens, END):
                    log_probs, state = self.step(last, state)
                    chain.append(float(log_probs[0, token]))
                    last = torch.tensor([token])
                score = sum(chain) / ((5 + length + 1) / 6) ** length_penalty
                found.append(Hypothesis(tokens, sum(chain), score, tuple(chain)))
        return sorted(found, key=lambda one: -one.score)


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-5)
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-5)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 3.0])
@pytest.mark.parametrize(("symbols", "max_length"), [(2, 5), (3, 4), (4, 3)])
def test_a_beam_that_holds_everything_is_exhaustive_search(symbols: int, max_length: int, length_penalty: float):
    toy = Toy.draw(symbols, sentences=3, seed=symbols)
    n_best = 7
    found = beam_search(toy.step, toy.state(), toy.tokens(), END, 130, max_length, length_penalty, n_best)
    for sentence, best in enumerate(found):
        assert_same(best, toy.enumerate(sentence, max_length, length_penalty)[:n_best])


@given(seed=st.integers(0, 1000), beam_size=st.integers(1, 6), length_penalty=st.sampled_from([0.0, 1.0]))
def test_a_batch_of_many_is_many_batches_of_one(seed: int, beam_size: int, length_penalty: float):
    toy = Toy.draw(6, sentences=5, seed=seed)
    max_lengths = [7, 0, 3, 12, 1]
    prefixes = [[3, 3], [], [1, 2, 5], [], [4]]
    together = beam_search(
        toy.step, toy.state(), toy.tokens(), END, beam_size, max_lengths, length_penalty, beam_size, 2, prefixes
    )
    for n in range(5):
        one = slice(n, n + 1)
        (alone,) = beam_search(
            toy.step,
            toy.state(one),
            toy.tokens(one),
            END,
            beam_size,
            max_lengths[one],
            length_penalty,
            beam_size,
            2,
            prefixes[one],
        )
        assert_same(together[n], alone)


@given(seed=st.integers(0, 1000), no_repeat_ngram=st.integers(0, 2))
def test_a_beam_of_one_is_greedy_search(seed: int, no_repeat_ngram: int):
    toy = Toy.draw(5, sentences=4, seed=seed)
    prefixes = [[], [2], [2, 2, 2], [1]]
    beam = beam_search(toy.step, toy.state(), toy.tokens(), END, 1, 9, 0.0, 1, no_repeat_ngram, prefixes)
    greedy = greedy_search(toy.step, toy.state(), toy.tokens(), END, 9, no_repeat_ngram, prefixes)
    assert_same(greedy, [best[0] for best in beam])


@given(seed=st.integers(0, 300))
def test_what_a_beam_finds_is_there_and_is_ranked(seed: int):
    toy = Toy.draw(3, sentences=1, seed=seed)
    everything = {one.tokens: one for one in toy.enumerate(0, 4, 1.0)}
    (found,) = beam_search(toy.step, toy.state(), toy.tokens(), END, 3, 4, 1.0, 3)
    assert_same(found, [everything[one.tokens] for one in found])
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len({one.tokens for one in found}) == len(found)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_ngram_comes_twice(n: int):
    toy = Toy.draw(4, sentences=20, seed=7)
    for (best,) in beam_search(toy.step, toy.state(), toy.tokens(), END, 4, 15, 1.0, no_repeat_ngram=n):
        grams = [best.tokens[i : i + n] for i in range(len(best.tokens) - n + 1)]
        assert len(set(grams)) == len(grams)


def test_no_repeated_ngrams_are_exhaustive_search_among_those_without():
    toy = Toy.draw(3, sentences=2, seed=3)
    found = beam_search(toy.step, toy.state(), toy.tokens(), END, 100, 5, 0.0, 4, no_repeat_ngram=2)
    for sentence, best in enumerate(found):
        allowed = [
            one
            for one in toy.enumerate(sentence, 5)
            if len(set(zip(one.tokens, one.tokens[1:], strict=False))) == max(len(one.tokens) - 1, 0)
        ]
        assert_same(best, allowed[:4])


def test_prefixes_are_forced_and_may_repeat_themselves():
    toy = Toy.draw(4, sentences=3, seed=1)
    prefixes = [[2, 2, 2, 2], [], [1]]
    found = beam_search(toy.step, toy.state(), toy.tokens(), END, 200, 5, 0.0, 3, 1, prefixes)
    assert all(one.tokens[:4] == (2, 2, 2, 2) for one in found[0])
    assert all(one.tokens[:1] == (1,) for one in found[2])
    # What is forced counts with its own probability.
    expected = next(one for one in toy.enumerate(0, 4) if one.tokens == (2, 2, 2, 2))
    assert_same([one for one in found[0] if len(one.tokens) == 4], [expected])


def test_max_length_of_each_sentence():
    toy = Toy.draw(4, sentences=3, seed=2)
    lengths = torch.tensor([0, 2, 5])
    found = beam_search(toy.step, toy.state(), toy.tokens(), END, 4, lengths, 3.0, 4)
    assert [one.tokens for one in found[0]] == [()]
    assert max(len(one.tokens) for one in found[1]) <= 2
    assert greedy_search(toy.step, toy.state(), toy.tokens(), END, [0, 0, 0])[2].tokens == ()


def test_the_recurrent_state_may_have_its_rows_second():
    toy = Toy.draw(4, sentences=3, seed=4)

    def step(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        log_probs, after = toy.step(tokens, {"h": state[0][0], "steps": [state[0][0, :, 0]]})
        return log_probs, (after["h"].unsqueeze(0),)

    found = beam_search(step, (toy.begin.unsqueeze(0),), toy.tokens(), END, 3, 6, batch_dim=1)
    expected = beam_search(toy.step, toy.state(), toy.tokens(), END, 3, 6)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


def test_an_ensemble_averages_probabilities():
    toys = [Toy.draw(3, sentences=2, seed=seed) for seed in (5, 6)]
    step = ensemble([toy.step for toy in toys])
    log_probs, states = step(toys[0].tokens(), tuple(toy.state() for toy in toys))
    alone = [toy.step(toy.tokens(), toy.state())[0].exp() for toy in toys]
    torch.testing.assert_close(log_probs.exp(), (alone[0] + alone[1]) / 2)
    assert len(states) == 2
    same = ensemble([toys[0].step] * 2)
    found = beam_search(same, (toys[0].state(),) * 2, toys[0].tokens(), END, 3, 5)
    for one, other in zip(found, beam_search(toys[0].step, toys[0].state(), toys[0].tokens(), END, 3, 5), strict=True):
        assert_same(one, other)
    with pytest.raises(ParameterError, match="one step function or more"):
        ensemble([])


def test_a_batch_of_none():
    toy = Toy.draw(3, sentences=1, seed=0)
    none = slice(0, 0)
    assert beam_search(toy.step, toy.state(none), toy.tokens(none), END) == []
    assert greedy_search(toy.step, toy.state(none), toy.tokens(none), END) == []


@pytest.mark.parametrize("value", [-math.inf, math.nan])
def test_a_model_without_an_end_ends(value: float):
    toy = Toy.draw(3, sentences=2, seed=0)

    def step(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        log_probs, state = toy.step(tokens, state)
        return log_probs.fill_(value), state

    assert beam_search(step, toy.state(), toy.tokens(), 1, 2, 4) == [[], []]
    for found in greedy_search(step, toy.state(), toy.tokens(), 1, 4):
        assert not found.log_prob > -math.inf


def test_an_end_without_a_chance_ends_at_the_maximum_length():
    toy = Toy.draw(3, sentences=1, seed=0)

    def step(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        log_probs, state = toy.step(tokens, state)
        log_probs[:, 1] = -math.inf
        return log_probs, state

    assert beam_search(step, toy.state(), toy.tokens(), 1, 2, 4) == [[]]
    (found,) = greedy_search(step, toy.state(), toy.tokens(), 1, 4)
    assert (len(found.tokens), found.log_prob) == (4, -math.inf)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size"),
        ({"n_best": 6}, "n_best: expected at most beam_size = 5"),
        ({"length_penalty": -1.0}, "length_penalty"),
        ({"length_penalty": math.nan}, "length_penalty"),
        ({"max_length": -1}, "max_length"),
        ({"max_length": [3, -1]}, "max_length"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram"),
        ({"prefixes": [[1, 1, 1], []], "max_length": 2}, "at most max_length = 2"),
        ({"prefixes": [[1, END], []]}, "without the end"),
    ],
)
def test_wrong_parameters_are_named(options: dict[str, Any], message: str):
    toy = Toy.draw(3, sentences=2, seed=0)
    with pytest.raises(ParameterError, match=message):
        beam_search(toy.step, toy.state(), toy.tokens(), END, **options)


def test_wrong_shapes_are_named():
    toy = Toy.draw(3, sentences=2, seed=0)
    wrong: list[tuple[dict[str, Any], str]] = [({"max_length": [1]}, "max_length"), ({"prefixes": [[1]]}, "prefixes")]
    for options, name in wrong:
        with pytest.raises(ShapeError, match=name):
            beam_search(toy.step, toy.state(), toy.tokens(), END, **options)
    with pytest.raises(ShapeError, match="begin"):
        beam_search(toy.step, toy.state(), toy.tokens().unsqueeze(0), END)
