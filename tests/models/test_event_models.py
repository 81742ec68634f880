import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from recurra.cells import find_cell
from recurra.data.music.event_rules import ENDLESS, EventRules
from recurra.data.music.events import EventVocabulary
from recurra.data.music.piece import Grid, Piece
from recurra.models import RecurrentLanguageModel
from recurra.models.events import read_events, sample_events, search_events, stream_events

PIECE = Piece.from_notes("one", np.array([[0, 1, 60], [1, 3, 64], [3, 4, 67], [4, 8, 60]]), Grid(1, 4.0))
VOCABULARY = EventVocabulary.of([PIECE])
END = VOCABULARY.token("end")


def network(seed: int = 0) -> RecurrentLanguageModel:
    torch.manual_seed(seed)
    return RecurrentLanguageModel(find_cell("gru"), len(VOCABULARY), 6, 8)


def rules(opening: int, length: int, pitches: tuple[int, ...] = tuple(range(88))) -> EventRules:
    free = np.zeros((1, 88, length), bool)
    free[:, list(pitches), opening:] = True
    return EventRules(VOCABULARY, VOCABULARY.fit(PIECE.beginning(opening)), length, free)


def test_surprise_whatever_is_read_together() -> None:
    generator = np.random.default_rng(0)
    sequences = [generator.integers(0, len(VOCABULARY), length) for length in (3, 9, 1, 9)]
    kinds = [VOCABULARY.tokens_of["pitch"], slice(0, VOCABULARY.tokens_of["pitch"].start),
             slice(VOCABULARY.tokens_of["pitch"].stop, None)]  # fmt: skip
    model = network()
    for sequence, found in zip(sequences, read_events(model, sequences, END, kinds), strict=True):
        features, _ = model(torch.tensor([[END, *sequence[:-1].tolist()]]))
        likely = model.log_probabilities(features)[0].detach().numpy()
        assert_allclose(found.surprise, -likely[np.arange(len(sequence)), sequence], rtol=1e-5)
        for at, token in enumerate(sequence.tolist()):
            kind = next(one for one in kinds if token in range(len(VOCABULARY))[one])
            assert found.expected[at] == range(len(VOCABULARY))[kind].start + likely[at, kind].argmax()


def test_samples_do_not_depend_on_those_beside_them() -> None:
    model = network()
    together = sample_events(model, END, rules(4, 12), range(5), top_p=0.9, particles=3)
    for seed in (0, 3):
        alone = sample_events(model, END, rules(4, 12), [seed], top_p=0.9, particles=3)
        assert alone[0].tokens == together[seed].tokens
    assert len({tuple(one.tokens) for one in together}) > 1
    assert all(one.frame >= 12 for one in together)


def test_sampled_as_often_as_the_model_says() -> None:
    # A bar of two frames with one pitch: few sequences, whose probabilities are those of the model among the allowed.
    piece = Piece.from_notes("one", np.array([[0, 1, 60], [1, 2, 60]]), Grid(1, 2.0))
    vocabulary = EventVocabulary.of([piece])
    torch.manual_seed(1)
    model = RecurrentLanguageModel(find_cell("elman"), len(vocabulary), 3, 4)
    free = np.zeros((1, 88, 2), bool)
    free[:, 39] = True
    small = EventRules(vocabulary, vocabulary.fit(piece.beginning(0)), 2, free)
    expected = {}
    stack = [(small.begin(), 0.0, 0.0)]
    end = vocabulary.token("end")
    while stack:
        state, own, joint = stack.pop()
        if small.is_done(state):
            expected[tuple(state.tokens)] = own, joint
            continue
        features, _ = model(torch.tensor([[end, *state.tokens]]))
        likely = model.log_probabilities(features[:, -1])[0].detach().double().numpy()
        allowed = small.allowed(state)
        among = np.log(np.exp(likely[allowed]).sum())
        for token in np.flatnonzero(allowed).tolist():
            branch = state.copy()
            small.read(branch, token)
            stack.append((branch, own + likely[token] - among, joint + likely[token]))
    assert_allclose(sum(np.exp(own) for own, _ in expected.values()), 1)
    states = sample_events(model, end, small, range(500))
    found = dict.fromkeys(expected, 0)
    for state in states:
        found[tuple(state.tokens)] += 1
    for tokens, count in found.items():
        probability = np.exp(expected[tokens][0])
        assert abs(count / 500 - probability) < 4 * np.sqrt(probability / 500) + 1e-3
    # A beam that holds every sequence finds the best, in their order.
    best = search_events(model, end, small, 50)
    ranked = sorted(expected, key=lambda tokens: -expected[tokens][1])
    assert [tuple(state.tokens) for state, _ in best] == ranked
    assert_allclose([score for _, score in best], [expected[tokens][1] for tokens in ranked], rtol=1e-4)
    # Particles come closer to the distribution that the joint probabilities make.
    joint = np.exp([expected[tokens][1] for tokens in ranked])
    many = sample_events(model, end, small, range(60), particles=12)
    firsts = np.mean([tuple(state.tokens) == ranked[0] for state in many])
    assert abs(firsts - joint[0] / joint.sum()) < 0.2


@pytest.mark.parametrize("way", ["sample", "beam"])
def test_the_opening_and_the_scale_hold(way: str) -> None:
    scale = tuple(note for note in range(88) if (note + 21) % 12 in (0, 4, 7))
    those = rules(4, 16, scale)
    model = network(2)
    states = (
        sample_events(model, END, those, range(3), density=0.5)
        if way == "sample"
        else [state for state, _ in search_events(model, END, those, 3)]
    )
    for state in states:
        notes = VOCABULARY.decode(state.tokens).notes
        early = notes[notes[:, 0] < 4]
        assert early.tolist() == PIECE.beginning(4).notes.tolist()
        later = notes[notes[:, 0] >= 4]
        assert set((later[:, 2] % 12).tolist()) <= {0, 4, 7}


def test_density() -> None:
    sparse, dense = (
        np.mean([len(one.written) for one in sample_events(network(), END, rules(0, 32), range(4), density=by)])
        for by in (0.2, 5.0)
    )
    assert sparse < dense


def test_the_likeliest_is_what_temperature_zero_and_one_choice_give() -> None:
    model = network(3)
    ways = [{"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-9}]
    found = [sample_events(model, END, rules(0, 8), [seed], **way)[0].tokens for seed, way in enumerate(ways)]
    assert all(one == other for one, other in itertools.pairwise(found))


@pytest.mark.parametrize("opening", [0, 3, 4])
def test_a_stream_writes_what_is_sampled(opening: int) -> None:
    model, free = network(4), np.ones((1, 88), bool)
    before = VOCABULARY.fit(PIECE.beginning(opening))
    [whole] = sample_events(model, END, EventRules(VOCABULARY, before, 16, free), [7], density=2.0)
    streamed = list(stream_events(model, END, EventRules(VOCABULARY, before, 16, free), opening, 7, density=2.0))
    assert len(streamed) == 16 - opening
    for frame, one in enumerate(streamed, opening):
        assert all(note[0] == frame for note in one.notes)
    assert [note for one in streamed for note in one.notes] == whole.written
    assert whole.written
    # Without an end it begins alike, and nothing that was written stays in memory.
    rules = EventRules(VOCABULARY, before, ENDLESS, free)
    endless = stream_events(model, END, rules, opening, 7, density=2.0)
    begun = list(itertools.islice(endless, 60))
    assert begun[0] == streamed[0]
    assert any(one.notes for one in begun[40:])
    [state] = endless.gi_frame.f_locals["writing"].states  # pyright: ignore[reportAttributeAccessIssue]
    assert len(state.tokens) + len(state.written) < 3


def test_a_stream_says_where_the_tempo_changes() -> None:
    changed = Piece.from_notes("two", PIECE.notes, Grid(1, 4.0), tempi=((2, 60.0), (5, 240.0)))
    vocabulary = EventVocabulary.of([changed])
    torch.manual_seed(0)
    model = RecurrentLanguageModel(find_cell("gru"), len(vocabulary), 6, 8)
    fitted = vocabulary.fit(changed)
    rules = EventRules(vocabulary, fitted, 8, np.zeros((len(vocabulary.voices), 88), bool), tempo_from=8)
    frames = list(stream_events(model, vocabulary.token("end"), rules, 0, 0))
    changes = {frame: vocabulary.tempi[one.tempo] for frame, one in enumerate(frames) if one.tempo >= 0}
    assert changes == dict(fitted.tempi)
