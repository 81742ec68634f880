from itertools import product

import numpy as np
import pytest
import torch

from recurra.cells import Elman
from recurra.models.frames import FrameModel, read_frames, sample_frames, search_frames

NOTES = 3


def model(nade_size: int = 4) -> FrameModel:
    """A network with large weights, whose frames depend much on those before."""
    torch.manual_seed(6)
    made = FrameModel(Elman(), NOTES, 4, nade_size=nade_size)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(6)
    return made


FREE = np.full((6, NOTES), -1)


@pytest.mark.parametrize("particles", [1, 5])
def test_a_row_is_the_same_in_any_batch(particles: int) -> None:
    forced = FREE.copy()
    forced[2:4, 1] = (1, 0)
    opening = np.array([[1, 0, 1], [0, 0, 1]])
    together = sample_frames(model(), opening, forced, [3, 7, 8], particles=particles)
    alone = sample_frames(model(), opening, forced, [7], particles=particles)
    assert np.array_equal(together[1], alone[0])
    assert not np.array_equal(together[0], together[1])
    assert together[:, 2:4, 1].tolist() == [[1, 0]] * 3


def test_a_note_that_is_set_guides_the_frame_before_it() -> None:
    network, rows = model(), 600
    forced = FREE[:2].copy()
    forced[1, 0] = 1
    every = np.array(list(product((0, 1), repeat=NOTES)), np.uint8)
    # By enumeration: p(first frame | note 0 of the second) from the probabilities of all pairs of frames.
    pairs = [np.stack([one, other]) for one in every for other in every]
    probabilities = np.exp([-one.surprise.sum() for one in read_frames(network, pairs)])
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    posterior = np.array([sum(p for p, pair in zip(probabilities, pairs, strict=True)
                              if pair[1, 0] and np.array_equal(pair[0], one)) for one in every])  # fmt: skip
    posterior /= posterior.sum()
    prior = np.array([sum(p for p, pair in zip(probabilities, pairs, strict=True) if np.array_equal(pair[0], one))
                      for one in every])  # fmt: skip
    sampled = sample_frames(network, np.zeros((0, NOTES)), forced, range(rows), particles=16)
    found = np.bincount(sampled[:, 0] @ np.array([4, 2, 1]), minlength=8) / rows
    assert np.abs(posterior - prior).max() > 0.1
    assert np.abs(found - posterior).max() < 0.08 < np.abs(found - prior).max()


@pytest.mark.parametrize("nade_size", [0, 4])
def test_a_beam_that_holds_everything_finds_the_likeliest_in_their_order(nade_size: int) -> None:
    network, opening = model(nade_size), np.array([[1, 0, 1]])
    forced = FREE[:2].copy()
    forced[0, 1], forced[1, 0] = 1, 1
    every = np.array(list(product((0, 1), repeat=NOTES)), np.uint8)
    pairs = [np.stack([opening[0], one, other]) for one in every for other in every if one[1] and other[0]]
    scores = np.array([-one.surprise[1:].sum() for one in read_frames(network, pairs)])
    order = np.argsort(-scores)
    found, said = search_frames(network, opening, forced, 16)
    assert said == pytest.approx(scores[order], abs=1e-4)
    assert np.array_equal(found, np.stack(pairs)[order, 1:])
    narrow, _ = search_frames(network, opening, forced, 2, shift=np.array([0.0, 0.0, -np.inf]))
    assert len(narrow) == 2
    assert not narrow[:, :, 2].any()
    assert (narrow[:, 0, 1] == 1).all()


def test_a_shift_and_the_temperature() -> None:
    silent = np.array([0.0, -np.inf, 0.0])
    sampled = sample_frames(model(0), np.zeros((0, NOTES)), FREE, range(20), shift=silent)
    assert not sampled[..., 1].any()
    certain = sample_frames(model(0), np.zeros((0, NOTES)), FREE, range(4), temperature=0)
    assert all(np.array_equal(one, certain[0]) for one in certain)
    more, fewer = (
        sample_frames(model(), np.zeros((0, NOTES)), FREE, range(20), shift=np.full(NOTES, by)) for by in (2.0, -2.0)
    )
    assert more.mean() > fewer.mean()
    assert sample_frames(model(), np.zeros((0, NOTES)), FREE[:0], [1]).shape == (1, 0, NOTES)
