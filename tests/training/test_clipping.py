"""Each clipping by hand-worked numbers; what is not finite leaves no trace; statistics go through JSON."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from recurra.training.clipping import Clipping, ZScoreClipping, make_clipping
from recurra.training.settings import CLIPPINGS, TrainingSettings


def clipping(kind: Any, **options: Any) -> Clipping:
    return make_clipping(TrainingSettings(clipping=kind, **options))


def parameter(weight: Any, grad: Any) -> nn.Parameter:
    made = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
    made.grad = None if grad is None else torch.tensor(grad, dtype=torch.float64)
    return made


def gradients(parameters: list[nn.Parameter]) -> list[list[Any]]:
    return [held.grad.tolist() for held in parameters if held.grad is not None]


def with_norm(norm: float) -> list[nn.Parameter]:
    """Two parameters whose gradients, 3 : 4, have this norm together, and one without a gradient."""
    return [parameter([1.0], [0.6 * norm]), parameter([0.0], None), parameter([2.0], [0.8 * norm])]


def norm_after(clip: Clipping, norm: float) -> float:
    held = with_norm(norm)
    found = clip(held)
    assert found.norm.shape == ()
    assert found.norm.item() == pytest.approx(norm)
    (one,), (other,) = gradients(held)
    assert one == pytest.approx(0.75 * other)
    after = math.hypot(one, other)
    assert bool(found.clipped) == (after < norm * (1 - 1e-9))
    return after


def test_none_only_measures() -> None:
    assert norm_after(clipping("none"), 5.0) == pytest.approx(5)
    assert norm_after(clipping("norm", max_grad_norm=0), 5.0) == pytest.approx(5)


def test_norm_scales_all_together() -> None:
    clip = clipping("norm", max_grad_norm=2.0)
    assert norm_after(clip, 5.0) == pytest.approx(2, rel=1e-6)
    assert norm_after(clip, 1.9) == pytest.approx(1.9)


def test_value_cuts_each_element() -> None:
    held = [parameter([0.0] * 3, [0.4, -0.5, 0.6]), parameter([0.0], [-3.0])]
    found = clipping("value", clip_value=0.5)(held)
    assert found.norm.item() == pytest.approx(math.sqrt(0.16 + 0.25 + 0.36 + 9))
    assert found.clipped
    assert gradients(held) == [[0.4, -0.5, 0.5], [-0.5]]
    assert not clipping("value", clip_value=0.5)(held).clipped


def test_adaptive_is_by_unit() -> None:
    held = [
        # Rows of norm 5 and 10, at most 0.5 and 1: the first gradient (norm 5) is ten times too large, the other fits.
        parameter([[3.0, 4.0], [6.0, 8.0]], [[3.0, -4.0], [0.6, 0.8]]),
        # A bias is one unit: of norm 5 too.
        parameter([3.0, 4.0], [0.0, 1.0]),
        # Weights of 0 count as 1e-3.
        parameter([[0.0, 0.0]], [[0.0, 1e-3]]),
        # A diagonal recurrence is one unit, and so is a number.
        parameter([[3.0], [4.0]], [[0.3], [0.4]]),
        parameter(1.0, 0.2),
    ]
    found = clipping("adaptive", clip_factor=0.1)(held)
    assert found.clipped
    expected = [[[0.3, -0.4], [0.6, 0.8]], [0.0, 0.5], [[0.0, 1e-4]], [[0.3], [0.4]], 0.1]
    for got, wanted in zip(gradients(held), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)
    assert not clipping("adaptive", clip_factor=0.11)(held).clipped


def test_adaptive_takes_kernels_of_more_dimensions() -> None:
    held = [nn.Parameter(torch.ones(2, 3, 4))]
    held[0].grad = torch.cat([torch.ones(1, 3, 4), torch.full((1, 3, 4), 1e-3)])
    assert clipping("adaptive", clip_factor=0.01)(held).clipped
    torch.testing.assert_close(held[0].grad, torch.cat([torch.full((1, 3, 4), 0.01), torch.full((1, 3, 4), 1e-3)]))


def test_percentile_is_of_the_norms_so_far() -> None:
    clip = clipping("percentile", clip_percentile=25)
    assert norm_after(clip, 4.0) == pytest.approx(4)
    # Of 4 and 8 the lower quartile is 5, of 4, 8 and 2 it is 3.
    assert norm_after(clip, 8.0) == pytest.approx(5, rel=1e-6)
    assert norm_after(clip, 2.0) == pytest.approx(2)
    assert norm_after(clip, 0.0) == 0
    assert norm_after(clip, 3.5) == pytest.approx(3.125, rel=1e-6)
    assert clip.state_dict() == {"norms": pytest.approx([4, 8, 2, 3.5])}


def test_percentile_forgets_norms_long_past() -> None:
    clip = clipping("percentile", clip_percentile=0)
    norm_after(clip, 1.0)
    assert norm_after(clip, 3.0) == pytest.approx(1, rel=1e-6)
    for _ in range(999):
        clip(with_norm(2.0))
    assert norm_after(clip, 3.0) == pytest.approx(2, rel=1e-6)
    assert len(clip.state_dict()["norms"]) == 1000


def test_zscore_begins_with_the_first_norms() -> None:
    clip = clipping("zscore", clip_zscore=2.0)
    for k in range(25):
        norm = 4.0 if k % 2 else 6.0
        assert norm_after(clip, norm) == pytest.approx(norm)
    state = clip.state_dict()
    mean = (13 * 6 + 12 * 4) / 25
    assert (state["mean"], state["variance"]) == pytest.approx((mean, 36 * 13 / 25 + 16 * 12 / 25 - mean**2))


def test_zscore_cuts_a_spike_to_the_reciprocal() -> None:
    clip = ZScoreClipping(threshold=2.0, alpha=0.75, warmup_steps=2)
    assert norm_after(clip, 4.0) == pytest.approx(4)
    assert norm_after(clip, 6.0) == pytest.approx(6)
    # Mean 5, deviation 1: 6.5 is no spike; 13 is, with z = 8, cut to 5 + 2**2 / 8.
    once = ZScoreClipping(threshold=2.0, alpha=0.75, warmup_steps=2)
    once.load_state_dict(clip.state_dict())
    assert norm_after(once, 13.0) == pytest.approx(5.5, rel=1e-5)
    assert once.state_dict()["mean"] == pytest.approx(0.75 * 5 + 0.25 * 5.5)
    assert norm_after(clip, 6.5) == pytest.approx(6.5)
    mean = 0.75 * 5 + 0.25 * 6.5
    assert clip.state_dict()["mean"] == pytest.approx(mean)
    assert clip.state_dict()["variance"] == pytest.approx(0.75 + 0.25 * (6.5 - mean) ** 2)
    # A larger spike is cut to less, and one far below the mean is none.
    again = ZScoreClipping(threshold=2.0, alpha=0.75, warmup_steps=2)
    again.load_state_dict({"first": [4.0, 6.0], "mean": 5.0, "variance": 1.0})
    assert norm_after(again, 1005.0) == pytest.approx(5.004, rel=1e-5)
    assert norm_after(again, 0.1) == pytest.approx(0.1)


def test_the_numbers_of_the_settings_are_the_papers() -> None:
    clip = clipping("zscore")
    for _ in range(13):
        clip(with_norm(4.0))
        clip(with_norm(6.0))
    clip.load_state_dict({"first": [5.0] * 25, "mean": 5.0, "variance": 1.0})
    assert norm_after(clip, 10.0) == pytest.approx(5 + 2.5**2 / 5, rel=1e-5)
    assert clip.state_dict()["mean"] == pytest.approx(0.97 * 5 + 0.03 * 6.25)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", CLIPPINGS)
def test_what_is_not_finite_is_left_and_leaves_no_trace(kind: str, bad: float) -> None:
    clip = clipping(kind)
    for _ in range(30):
        clip(with_norm(3.0))
    before = clip.state_dict()
    held = [parameter([1.0, 1.0], [5.0, bad]), parameter([1.0], [7.0])]
    found = clip(held)
    assert found.norm.item() == abs(bad) or (math.isnan(bad) and found.norm.isnan())
    assert not found.clipped
    np.testing.assert_array_equal(gradients(held)[0], [5.0, bad])
    assert gradients(held)[1] == [7.0]
    assert clip.state_dict() == before


@pytest.mark.parametrize("kind", CLIPPINGS)
def test_without_gradients_there_is_nothing_to_clip(kind: str) -> None:
    found = clipping(kind)([parameter([1.0], None)])
    assert found.norm.item() == 0
    assert not found.clipped


@given(st.lists(st.floats(1e-3, 1e3), max_size=60), st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=10), st.data())
def test_statistics_go_through_json(before: list[float], after: list[float], data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(CLIPPINGS))
    straight, resumed = clipping(kind), clipping(kind)
    for norm in before:
        straight(with_norm(norm))
    resumed.load_state_dict(json.loads(json.dumps(straight.state_dict())))
    for norm in after:
        one, other = with_norm(norm), with_norm(norm)
        assert straight(one) == resumed(other)
        assert gradients(one) == gradients(other)
    assert straight.state_dict() == resumed.state_dict()


@pytest.mark.parametrize("kind", CLIPPINGS)
def test_a_step_of_a_network_is_never_made_larger(kind: str) -> None:
    clip = clipping(kind, max_grad_norm=1e-3, clip_value=1e-3, clip_factor=1e-3, clip_percentile=1.0, clip_zscore=0.5)
    module = nn.LSTM(3, 4)
    for k in range(30):
        module.zero_grad()
        output: Tensor = module(torch.randn(5, 2, 3) * (1 + k % 7))[0]
        output.square().sum().backward()
        held = list(module.parameters())
        before = [weight.grad.clone() for weight in held if weight.grad is not None]
        clip(held)
        for weight, grad in zip(held, before, strict=True):
            assert weight.grad is not None
            assert (weight.grad.abs() <= grad.abs()).all()
            assert (weight.grad * grad >= 0).all()
