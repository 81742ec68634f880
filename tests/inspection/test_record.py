import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_padded_sequence

import recurra
from recurra.errors import ParameterError
from recurra.inspection import record
from recurra.inspection.jacobians import segment_jacobians
from recurra.models import EncoderDecoder


def _stacked(states: list[tuple[Tensor, ...]], part: int) -> Tensor:
    return torch.stack([state[part] for state in states])


@pytest.mark.parametrize("batch_first", [False, True])
def test_what_is_recorded_is_what_the_module_computes(batch_first: bool) -> None:
    layer = recurra.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first)
    x = torch.randn(5, 6, 3)
    output, (h, c) = layer(x)
    found = record(layer, x)
    assert torch.allclose(found.output[0], output, atol=1e-6)
    assert [track.name for track in found.tracks] == [
        *("layer 1 forward", "layer 1 reverse", "layer 2 forward", "layer 2 reverse")
    ]
    assert [(s.layer, s.reverse) for s in found.segments] == [(0, False), (0, True), (1, False), (1, True)]
    outputs = torch.cat([torch.stack(track.outputs) for track in found.tracks[2:]], dim=2)
    assert torch.allclose(outputs.transpose(0, 1) if batch_first else outputs, output, atol=1e-6)
    for k, track in enumerate(found.tracks):
        assert track.parts == ("h", "c")
        assert torch.allclose(track.segments[0].final[0], h[k], atol=1e-6)
        assert torch.allclose(track.segments[0].final[1], c[k], atol=1e-6)
        before, after = track.segments[0].before(), track.segments[0].after()
        first, second = (slice(1, None), slice(None, -1)) if track.reverse else (slice(None, -1), slice(1, None))
        assert torch.equal(before[1][second], after[1][first])


def test_the_module_itself_is_not_touched() -> None:
    model = nn.Sequential(nn.LSTM(3, 4, batch_first=True))
    weights, before = copy.deepcopy(model.state_dict()), vars(model[0]).keys()
    record(model, torch.randn(2, 5, 3))
    assert type(model[0]) is nn.LSTM
    assert model.training
    assert vars(model[0]).keys() == before
    assert not model[0]._forward_hooks
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_torch_s_layers_are_seen_into(kind: Any) -> None:
    layer = kind(3, 4)
    x = torch.randn(7, 2, 3)
    found = record(layer, x)
    assert torch.allclose(found.output[0], layer(x)[0], atol=1e-6)
    assert found.tracks[0].steps == 7


def test_layers_may_be_left_out() -> None:
    """A layer that reads the characters of words has other steps, and other sequences, than the words'."""

    class Spelled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.characters, self.words = recurra.GRU(3, 4), nn.LSTM(4, 5)

        def forward(self, spellings: Tensor) -> Tensor:
            _, last = self.characters(spellings)
            return self.words(last.view(2, 3, 4))[0]

    model, spellings = Spelled(), torch.randn(7, 6, 3)
    found = record(model, spellings, layers=["words"])
    assert torch.allclose(found.output, model(spellings), atol=1e-6)
    assert [(track.segments[0].module, track.steps) for track in found.tracks] == [("words", 2)]
    assert len(record(model, spellings).tracks) == 2
    with pytest.raises(ParameterError, match=r"layers: expected names .* characters, words, got"):
        record(model, spellings, layers=["word"])


def test_dropout_is_off() -> None:
    layer = recurra.GRU(3, 4, num_layers=2, dropout=0.9)
    x = torch.randn(5, 2, 3)
    assert torch.allclose(record(layer, x).output[0], layer.eval()(x)[0], atol=1e-6)


def test_padding_is_marked_and_holds_the_state() -> None:
    layer = recurra.GRU(3, 4)
    x, lengths = torch.randn(5, 3, 3), torch.tensor([5, 2, 0])
    output, final = layer(x, lengths=lengths)
    found = record(layer, x, lengths=lengths)
    assert torch.allclose(found.output[0], output, atol=1e-6)
    assert found.tracks[0].valid.sum(0).tolist() == [5, 2, 0]
    assert torch.allclose(found.tracks[0].segments[0].final[0], final[0], atol=1e-6)


def test_packed_input_and_no_grad() -> None:
    layer = recurra.LSTM(3, 4, bidirectional=True)
    packed = pack_padded_sequence(torch.randn(5, 3, 3), torch.tensor([2, 5, 4]), enforce_sorted=False)
    with torch.no_grad():
        found = record(layer, packed)
        assert torch.allclose(found.output[0].data, layer(packed)[0].data, atol=1e-6)
    assert found.tracks[1].valid.sum(0).tolist() == [2, 5, 4]
    assert found.output[0].data.requires_grad


def test_resets_cut_a_sequence_into_pieces() -> None:
    layer = recurra.GRU(3, 4)
    x, resets = torch.randn(6, 1, 3), torch.tensor([False, False, False, True, False, False]).unsqueeze(1)
    found = record(layer, x, resets=resets)
    assert torch.allclose(found.output[0], layer(x, resets=resets)[0], atol=1e-6)
    assert {segment.layer for segment in found.segments} == {0}


def test_zoneout_is_its_expectation() -> None:
    layer = recurra.GRU(3, 4, dtype=torch.float64)
    zoned = recurra.Recurrent(layer.cell, 3, 4, zoneout=0.25, dtype=torch.float64)
    zoned.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    found = record(zoned, x)
    assert torch.allclose(found.output[0], zoned.eval()(x)[0])
    ours, theirs = (list(segment_jacobians(r.segments[0], torch.arange(2))) for r in (found, record(layer, x)))
    kept = 0.25 * torch.eye(4, dtype=torch.float64)
    assert torch.allclose(ours[0][1], kept + 0.75 * theirs[0][1])


def test_an_encoder_and_the_decoder_that_takes_its_state_are_one_track() -> None:
    model = EncoderDecoder(recurra.cells.LSTM(), 3, 2, 4, num_layers=2)
    found = record(model, torch.randn(2, 6, 3), torch.randn(2, 3, 2))
    assert [track.name for track in found.tracks] == ["encoder to decoder layer 1", "encoder to decoder layer 2"]
    assert [track.steps for track in found.tracks] == [9, 9]
    assert found.tracks[0].starts == (0, 6)
    assert [found.name(segment) for segment in found.segments] == [
        *("encoder layer 1", "encoder layer 2", "decoder layer 1", "decoder layer 2")
    ]


class _Loop(nn.Module):
    """Steps by hand, with a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = recurra.GRUCell(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.randn(x.shape[0], 4)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return h


def test_single_steps_are_joined() -> None:
    found = record(_Loop(), torch.randn(2, 6, 3))
    (track,) = found.tracks
    (segment,) = track.segments
    assert (track.name, segment.steps, segment.valid.shape) == ("cell", 6, (6, 2))
    assert torch.equal(segment.final[0], found.output)


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = recurra.GRU(3, 4)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.encoder(a)[0][-1] - self.encoder(b)[0][-1]


def test_independent_calls_of_one_layer_are_told_apart() -> None:
    found = record(_Twice(), torch.randn(5, 2, 3), torch.randn(4, 2, 3))
    assert [(track.name, track.steps) for track in found.tracks] == [("encoder call 1", 5), ("encoder call 2", 4)]


def test_frozen_weights_and_inputs_are_followed_all_the_same() -> None:
    layer = recurra.GRU(3, 4).requires_grad_(False)
    assert record(layer, torch.randn(5, 2, 3)).tracks[0].outputs[-1].requires_grad


def test_a_module_without_recurrent_layers() -> None:
    with pytest.raises(ParameterError, match=r"recurra.Recurrent, or torch.nn.LSTM.*Write"):
        record(nn.Linear(3, 4), torch.randn(2, 3))
    not_a_module: Any = "model"
    with pytest.raises(ParameterError, match=r"a torch.nn.Module"):
        record(not_a_module)


def test_what_cannot_be_seen_into_is_named_with_the_reason() -> None:
    odd = weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    with pytest.raises(ParameterError, match=r"The module itself .* cannot be recorded: parametrized"):
        record(odd, torch.randn(5, 2, 3))

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.odd, self.seen = odd, nn.GRU(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.odd(x)[0] + self.seen(x)[0]

    found = record(Both(), torch.randn(5, 2, 3))
    assert [track.name for track in found.tracks] == ["seen"]
    assert len(found.left_out) == 1
    assert found.left_out[0].name == "odd"


def test_layers_that_never_run() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = recurra.GRU(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x

    with pytest.raises(ParameterError, match="to run its recurrent layers layer"):
        record(Idle(), torch.randn(2, 3))
