from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from recurra.cells import LayerNormLSTM
from recurra.data.drawings.stroke_batches import Strokes, encode_strokes
from recurra.models.pen_mixture import pen_mixture, raw_outputs
from recurra.models.stroke_decoder import StrokeDecoder
from recurra.models.stroke_sampling import GROUP, sample_strokes

START = np.array([[1, 0, 0], [0, 1, 1]], dtype=np.float32)


def decoder() -> tuple[StrokeDecoder, Any]:
    network = StrokeDecoder(LayerNormLSTM(), 12, mixtures=2).eval()
    with torch.no_grad():
        network.output.bias[2] = -4.0  # drawings of some points

    def step(points: Tensor, state: Any) -> tuple[Tensor, Any]:
        rows = len(points)
        return network(Strokes(points, torch.full((rows,), points.shape[1]), torch.zeros(rows).long()), state)

    return network, step


def sampled(seeds: list[tuple[int, ...]], **options: Any) -> list[np.ndarray]:
    torch.manual_seed(3)
    network, step = decoder()
    return sample_strokes(step, network.density, seeds, **{"temperature": 1.0, "max_points": 30, **options})


def test_a_drawing_depends_on_its_seed_alone() -> None:
    seeds = [(5, k) for k in range(GROUP)]
    one = sampled(seeds)
    # Others beside it, and another limit, change nothing but where it is cut.
    other = sampled([*seeds[:3], *[(9, k) for k in range(3, GROUP)]], max_points=20)
    for a, b in zip(one[:3], other[:3], strict=True):
        np.testing.assert_array_equal(a[:20], b)
    assert any(not np.array_equal(a[:20], b) for a, b in zip(one[3:], other[3:], strict=True))
    assert len({len(drawing) for drawing in one}) > 1
    assert max(map(len, one)) <= 30


def test_each_drawing_begins_with_the_start() -> None:
    for drawing in sampled([(0, k) for k in range(GROUP)], start=START):
        np.testing.assert_array_equal(drawing[:2], START)
    assert all(len(drawing) == 2 for drawing in sampled([(0, 1)] * 3, start=START, max_points=2))


def test_a_drawing_ends_when_it_may_and_when_it_has_to() -> None:
    seeds = [(5, k) for k in range(GROUP)]
    no, yes = torch.zeros(GROUP, dtype=torch.bool), torch.ones(GROUP, dtype=torch.bool)
    assert {len(one) for one in sampled(seeds, ending=lambda _: (no, no))} == {30}
    for one, same in zip(sampled(seeds, ending=lambda _: (yes, no)), sampled(seeds), strict=True):
        np.testing.assert_array_equal(one, same)
    # One that has to end does so at the first lift of its pen.
    many = sampled(seeds, ending=lambda _: (no, yes))
    assert any(len(one) < 30 for one in many)
    for one in many:
        assert not one[:-1, 2].any()
        assert one[-1, 2] == 1 or len(one) == 30


def test_a_bias_is_used_in_place_of_the_temperature() -> None:
    seeds = [(5, k) for k in range(GROUP)]
    for one, same in zip(sampled(seeds, bias=0.0, temperature=0.1), sampled(seeds), strict=True):
        np.testing.assert_allclose(one, same, rtol=1e-4, atol=1e-4)
    assert any(len(one) for one in sampled(seeds, bias=4.0))


def test_the_network_reads_what_was_sampled() -> None:
    """Sampling step by step sees the densities that the network gives for the whole drawing."""
    network, step = decoder()
    seen: list[Tensor] = []

    def watched(points: Tensor, state: Any) -> tuple[Tensor, Any]:
        raw, state = step(points, state)
        seen.append(raw[:1, -1])
        return raw, state

    drawing = sample_strokes(watched, network.density, [(2, 0)] * GROUP, temperature=1.0, max_points=9, start=START)[0]
    raw, _ = network(encode_strokes([drawing], [0])[0])
    count = len(drawing) - len(START)
    torch.testing.assert_close(torch.cat(seen)[:count], raw[0, len(START) : len(START) + count])


def test_lengths_and_points_have_the_distribution_of_the_density() -> None:
    """A density without memory: the number of points is geometric, and offsets are normal."""
    raw = raw_outputs(np.ones(1), np.array([[1.0, -1.0]]), np.eye(2)[None] / 4, np.array([0.5, 0.25, 0.25]), 1e-3)

    def step(points: Tensor, state: Any) -> tuple[Tensor, Any]:
        return raw.expand(len(points), 1, -1), state

    drawings = sample_strokes(
        step, lambda raw: pen_mixture(raw, 1e-3), [(4, k) for k in range(2000)], temperature=1.0, max_points=60
    )
    lengths = np.array([len(drawing) for drawing in drawings])
    counts = np.bincount(lengths.clip(max=8), minlength=9)
    expected = 0.25 * 0.75 ** np.arange(9)
    expected[8] = 0.75**8
    assert stats.chisquare(counts, 2000 * expected).pvalue > 1e-3
    offsets = np.concatenate(drawings)[:, :2]
    assert stats.kstest(offsets[:, 0], stats.norm(1, 0.5).cdf).pvalue > 1e-3
    assert stats.kstest(offsets[:, 1], stats.norm(-1, 0.5).cdf).pvalue > 1e-3
