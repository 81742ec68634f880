"""Checkpoints: what is saved comes back; a damaged file is refused; a failed write leaves the one before."""

import json
import math
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_task import assert_same

from recurra.errors import RunError
from recurra.training import Checkpoint, load_checkpoint, save_checkpoint

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool)
VALUES = {"step": 7, "loss": 0.1 + 0.2, "none": None, "worse": math.inf, "text": "é", "nested": [{"a": [1, 2.5]}]}


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Within it no file can be written beyond `limit` bytes, as on a full disk."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def example() -> Checkpoint:
    checkpoint = Checkpoint(values=dict(VALUES))
    checkpoint.add_group("model", {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(3)})
    return checkpoint


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_come_back(dtype: torch.dtype, tmp_path: Path) -> None:
    whole = (torch.randn(4, 6) * 3).to(dtype)
    tensors = {
        "matrix": whole,
        "scalar": whole[0, 0],
        "empty": whole[:0],
        "transposed": whole.t(),
        "strided": whole[::2, 1::3],
        "expanded": whole[:1].expand(3, 6),
        "same": whole,
        "view": whole.view(-1)[3:],
    }
    save_checkpoint(Checkpoint(tensors), tmp_path / "a.safetensors")
    assert_same(load_checkpoint(tmp_path / "a.safetensors").tensors, tensors)


def test_values_come_back(tmp_path: Path) -> None:
    save_checkpoint(example(), tmp_path / "a.safetensors")
    assert load_checkpoint(tmp_path / "a.safetensors").values == VALUES


def test_parameters_that_require_gradients_come_back_without(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.randn(3))
    save_checkpoint(Checkpoint({"p": parameter}), tmp_path / "a.safetensors")
    loaded = load_checkpoint(tmp_path / "a.safetensors").tensors["p"]
    assert torch.equal(loaded, parameter)
    assert not loaded.requires_grad


def test_an_empty_tensor_of_any_strides_comes_back(tmp_path: Path) -> None:
    """NumPy's empty selections have a stride of 0."""
    empty = torch.empty_strided((0,), (0,), dtype=torch.int64)
    save_checkpoint(Checkpoint({"pairs": empty}), tmp_path / "a.safetensors")
    assert_same(load_checkpoint(tmp_path / "a.safetensors").tensors, {"pairs": empty})


def test_a_group_ends_at_the_dot() -> None:
    checkpoint = Checkpoint()
    checkpoint.add_group("model", {"a.b": torch.ones(1)})
    checkpoint.add_group("models", {"c": torch.zeros(1)})
    assert_same(checkpoint.group("model"), {"a.b": torch.ones(1)})
    assert checkpoint.group("mod") == {}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"gone\.safetensors: no checkpoint there"):
        load_checkpoint(tmp_path / "gone.safetensors")
    with pytest.raises(RunError, match="no checkpoint there"):
        load_checkpoint(tmp_path)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(example(), path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match=r"a\.safetensors: damaged"):
            load_checkpoint(path)


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_a_file_damaged_anywhere_is_refused_or_reads_the_same(mask: int, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(example(), path)
    content = path.read_bytes()
    refused = {}
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= mask
        path.write_bytes(damaged)
        try:
            loaded = load_checkpoint(path)
        except RunError as error:
            refused[at] = str(error)
        else:
            assert loaded.values == VALUES
            assert_same(loaded.tensors, example().tensors)
    assert len(refused) > 0.95 * len(content)
    assert all(message.startswith(f"{path}: ") for message in refused.values())


@pytest.mark.parametrize("header", [None, "{}", '{"format": 1, "values": {}}', '{"format": 2}'])
def test_another_format_is_refused(header: str | None, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(1)}, path, None if header is None else {"recurra": header})
    with pytest.raises(RunError, match=r"a\.safetensors: .* 2; damaged, or written"):
        load_checkpoint(path)


def test_values_that_cannot_be_read_are_damage(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors", {"recurra": "{"})
    with pytest.raises(RunError, match=r"a\.safetensors: damaged"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_the_same_checkpoint_is_the_same_bytes(tmp_path: Path) -> None:
    for number in range(20):
        save_checkpoint(example(), tmp_path / f"{number}")
    assert len({(tmp_path / f"{number}").read_bytes() for number in range(20)}) == 1


def test_a_write_that_fails_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(example(), path)
    larger = Checkpoint({"large": torch.zeros(10_000)}, {"step": 8})
    with file_size_limit(4096), pytest.raises(RunError, match=r"a\.safetensors: cannot be written .* is unchanged"):
        save_checkpoint(larger, path)
    assert load_checkpoint(path).values == VALUES
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]
    save_checkpoint(larger, path)
    assert load_checkpoint(path).values == {"step": 8}
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_values_that_json_cannot_hold_leave_the_checkpoint_before(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(example(), path)
    with pytest.raises(TypeError):
        save_checkpoint(Checkpoint(values={"step": object()}), path)
    assert load_checkpoint(path).values == VALUES
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"gone/a\.safetensors: cannot be written"):
        save_checkpoint(example(), tmp_path / "gone" / "a.safetensors")


def test_others_may_read_it_as_far_as_any_new_file(tmp_path: Path) -> None:
    save_checkpoint(example(), tmp_path / "a.safetensors")
    (tmp_path / "b").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.safetensors", "b")]
    assert modes[0] == modes[1]


def test_any_safetensors_reader_can_read_it(tmp_path: Path) -> None:
    from safetensors import safe_open

    save_checkpoint(example(), tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="numpy") as file:
        assert sorted(file.keys()) == ["model.bias", "model.weight"]
        assert json.loads(json.loads(file.metadata()["recurra"])["values"])["step"] == 7
