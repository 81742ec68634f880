import numpy as np
import pytest
import torch
from known_systems import linear
from torch import Tensor, nn

import recurra
from recurra.errors import ParameterError
from recurra.inspection import UnrolledGradients, record, state_gradients, unrolled_gradients
from recurra.models import EncoderDecoder


def _edges(found: UnrolledGradients) -> set[tuple[int | None, int | None]]:
    return {(edges.upper, edges.lower) for edges in found.edges}


def test_edges_of_a_bidirectional_stack() -> None:
    layer = recurra.LSTM(3, 4, num_layers=2, bidirectional=True)
    found = unrolled_gradients(record(layer, torch.randn(7, 2, 3)))
    assert [row.name for row in found.rows] == [
        *("layer 1 forward", "layer 1 reverse", "layer 2 forward", "layer 2 reverse")
    ]
    assert [row.reverse for row in found.rows] == [False, True, False, True]
    assert _edges(found) == {(0, None), (1, None), (2, 0), (2, 1), (3, 0), (3, 1), (None, 2), (None, 3)}
    forward, reverse = found.rows[2:]
    assert forward.through_time[-1] == 0
    assert (np.diff(forward.through_time[:-1]) > 0).all()
    assert reverse.through_time[0] == 0
    assert (np.diff(reverse.through_time[1:]) < 0).all()
    assert found.steps == 7


def test_flows_are_the_gradients_norms() -> None:
    layer = linear(0.5 * torch.eye(2))
    recording = record(layer, torch.randn(3, 6, 2, dtype=torch.float64))
    found = unrolled_gradients(recording, sequence=2)
    size = float(recording.tracks[0].outputs[-1][2].detach().norm())
    assert np.allclose(found.rows[0].through_time, [*(size * 0.5 ** np.arange(5, 0, -1)), 0])
    below = next(edges for edges in found.edges if edges.lower is None)
    assert np.allclose(below.norms, size * 0.5 ** np.arange(5, -1, -1))
    above = next(edges for edges in found.edges if edges.upper is None)
    assert np.allclose(above.norms, [0] * 5 + [size])
    assert found.largest == pytest.approx(size)
    with pytest.raises(ParameterError, match="sequence: expected 0 to 2, got 3"):
        unrolled_gradients(recording, sequence=3)


def test_what_flows_down_is_what_arrives_below() -> None:
    recording = record(recurra.GRU(3, 4, num_layers=2, bidirectional=True), torch.randn(6, 1, 3))
    found, gradients = unrolled_gradients(recording), state_gradients(recording)
    for lower in (0, 1):
        arriving = gradients.tracks[lower].from_above[:, 0]
        slices = [
            torch.stack([g[0, 4 * lower : 4 * lower + 4] for g in gradients.tracks[upper].inputs]) for upper in (2, 3)
        ]
        assert torch.allclose(sum(slices, torch.zeros(())), arriving, atol=1e-7)
        for upper, columns in zip((2, 3), slices, strict=True):
            edges = next(e for e in found.edges if (e.upper, e.lower) == (upper, lower))
            assert np.allclose(edges.norms, columns.norm(dim=1).numpy(), atol=1e-7)


def test_separate_modules_are_joined_where_one_reads_the_other() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.LSTM(3, 4, bidirectional=True)
            self.second, self.aside = nn.GRU(8, 2), nn.GRU(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x)[0])[0] + self.aside(x)[0]

    found = unrolled_gradients(record(Stack(), torch.randn(5, 2, 3)), lambda output: output[-1].sum())
    assert [row.name for row in found.rows] == [*("first forward", "first reverse", "second forward", "aside forward")]
    assert _edges(found) == {(0, None), (1, None), (2, 0), (2, 1), (3, None), (None, 2), (None, 3)}


def test_padding_is_not_drawn() -> None:
    layer = recurra.GRU(3, 4, bidirectional=True)
    recording = record(layer, torch.randn(6, 3, 3), lengths=torch.tensor([6, 4, 0]))
    found = unrolled_gradients(recording, sequence=1)
    assert found.steps == 4
    assert {len(edges.norms) for edges in found.edges} == {len(row.through_time) for row in found.rows} == {4}
    with pytest.raises(ParameterError, match=r"sequence: expected .* got '2, .* empty'"):
        unrolled_gradients(recording, sequence=2)


def test_a_decoder_that_attends_comes_after_its_encoder() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = nn.GRU(3, 4, bidirectional=True), nn.GRU(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            read = self.encoder(x)[0]
            return self.decoder(read.mean(0, keepdim=True).expand(3, -1, -1))[0]

    recording = record(Attending(), torch.randn(5, 2, 3))
    found = unrolled_gradients(recording, lambda output: output[-1].sum(), follows=["decoder"])
    assert [row.first for row in found.rows] == [0, 0, 5]
    assert found.steps == 8
    assert _edges(found) == {(0, None), (1, None), (2, None), (None, 0), (None, 1), (None, 2)}
    assert [found.rows[edges.row].first for edges in found.edges] == [0, 0, 5, 0, 0, 5]


def test_encoder_and_decoder_are_one_row() -> None:
    model = EncoderDecoder(recurra.cells.LSTM(), 3, 2, 4, num_layers=2)
    found = unrolled_gradients(record(model, torch.randn(1, 6, 3), torch.randn(1, 3, 2)))
    assert [(row.starts, row.modules) for row in found.rows] == [((0, 6), ("encoder", "decoder"))] * 2
    assert _edges(found) == {(0, None), (1, 0), (None, 1)}
    # It flows on from the decoder's first step into the encoder's last.
    assert (found.rows[1].through_time[:8] > 0).all()


@pytest.mark.parametrize("lengths", [[6, 4], [6, 6]])
def test_what_reads_the_final_state_is_above_it(lengths: list[int]) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = recurra.LSTM(3, 4, num_layers=2)

        def forward(self, x: Tensor, layers: slice) -> Tensor:
            _, (output, memory) = self.recurrent(x, lengths=torch.tensor(lengths))
            return output[layers].sum() + memory[layers].sum()

    recording = record(Last(), torch.randn(6, 2, 3), slice(1, 2))
    found = unrolled_gradients(recording, lambda output: output, sequence=1)
    assert _edges(found) == {(0, None), (1, 0), (None, 1)}
    assert all(row.through_time[-1] == 0 and (row.through_time[:-1] > 0).all() for row in found.rows)
    above = next(edges for edges in found.edges if edges.upper is None)
    # dL/dh and dL/dc are ones, four each.
    assert np.allclose(above.norms, [0] * (lengths[1] - 1) + [8**0.5])
    both = unrolled_gradients(record(Last(), torch.randn(6, 2, 3), slice(2)), lambda output: output, sequence=1)
    assert _edges(both) == {(0, None), (1, 0), (None, 1), (None, 0)}
    lower = next(edges for edges in both.edges if (edges.upper, edges.lower) == (None, 0))
    assert np.allclose(lower.norms, above.norms)
