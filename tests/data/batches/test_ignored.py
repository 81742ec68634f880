"""What marks a target as one that does not count, in each dtype."""

import pytest
import torch

from recurra.data.batches.ignored import ignored_value, is_ignored


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float32, torch.bfloat16])
def test_what_is_marked_is_ignored(dtype: torch.dtype) -> None:
    target = torch.tensor([0.0, 1.0, ignored_value(dtype)]).to(dtype)
    assert is_ignored(target).tolist() == [False, False, True]


def test_a_number_is_no_mark() -> None:
    assert not is_ignored(torch.tensor([-100.0, torch.inf])).any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool])
def test_without_a_sign_nothing_is_ignored(dtype: torch.dtype) -> None:
    # 156 is -100 modulo 256.
    assert not is_ignored(torch.tensor([0, 1, 156]).to(dtype)).any()
