import torch
from numpy.testing import assert_allclose

from recurra.data.labelled.valence_shifters import LAGS, fit_shifts, shifted


def test_a_shift_changes_the_words_after_it_by_hand() -> None:
    evidence = torch.tensor([[[2.0, -2.0]] * 6])
    shifts = torch.tensor([[-1.5, 0.0, 0.25, 0.0, 0.0, 0.0]])
    expected = [0, -1.5, -1.5, -1.25, 0.25, 0.25]
    assert_allclose(shifted(evidence, shifts)[0, :, 0], [2 * one for one in expected])
    assert_allclose(shifted(evidence, shifts)[..., 1], -shifted(evidence, shifts)[..., 0])
    for steps in range(LAGS + 1):
        assert_allclose(shifted(evidence[:, :steps], shifts[:, :steps]), shifted(evidence, shifts)[:, :steps])


def test_shifts_do_not_cross_items_and_rare_words_have_none() -> None:
    # Items end with word 1, and the next begins with evidence for its label: across items, word 1 would confirm it.
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(2, (60,), generator=generator)
    sign = (2.0 * target - 1).repeat_interleave(2) * torch.tensor([1.0, 0.0] * 60)
    evidence = torch.stack([-sign, sign], dim=1)
    words = torch.tensor([2, 1] * 60)
    words[0] = 3
    owners = torch.arange(60).repeat_interleave(2)
    shifts = fit_shifts(evidence, torch.zeros(120, 1, 2), words, owners, target, 5)
    assert not shifts.any()  # word 2 comes before steps without evidence, word 3 is rare


def test_no_words_or_one_step() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    assert fit_shifts(torch.zeros(0, 2), torch.zeros(0, 1, 2), nothing, nothing, nothing, 3).tolist() == [0, 0, 0]
    one = torch.tensor([0])
    assert fit_shifts(torch.ones(1, 2), torch.zeros(1, 1, 2), one + 1, one, one, 3).tolist() == [0, 0, 0]
