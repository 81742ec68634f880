"""The encoder-decoder is its two halves, joined by the whole state of every layer."""

from typing import Any

import pytest
import torch
from torch import Tensor

from agreement import assert_agree, gradients
from every_cell import KINDS
from recurra import cells
from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError
from recurra.models import EncoderDecoder


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


def make(cell: Cell, **options: Any) -> EncoderDecoder:
    return EncoderDecoder(cell, encoder_size=3, decoder_size=2, hidden_size=4, num_layers=2, **options).double()


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_is_encoder_then_decoder(cell: Cell) -> None:
    model = make(cell)
    source, target = draw(5, 6, 3), draw(5, 4, 2)
    output, final = model(source, target)
    assert output.shape == (5, 4, 4)
    _, state = model.encoder(source)
    assert_agree((output, final), model.decoder(target, state))
    assert not torch.allclose(output, model.decoder(target)[0])


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_lengths_are_the_encoder_s(cell: Cell) -> None:
    model = make(cell)
    lengths = torch.tensor([6, 1, 0, 3])
    target = draw(4, 5, 2)
    source = torch.randn(4, 6, 3, dtype=torch.float64)
    padded = source.masked_fill((torch.arange(6) >= lengths.unsqueeze(1)).unsqueeze(2), float("nan"))
    output, _ = model(padded, target, lengths)
    for b, n in enumerate(lengths.tolist()):
        if n:
            alone, _ = model(source[b : b + 1, :n], target[b : b + 1])
        else:
            alone, _ = model.decoder(target[b : b + 1])
        assert_agree(output[b : b + 1], alone)


# Of an SRU the decoder reads the memory only, so that what the encoder's last layer makes of it has no gradient; a
# unit of an IndRNN may be below zero at every step.
WITHOUT_SOME = [cells.SRU(), cells.IndRNN("relu")]


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_the_gradient_reaches_the_encoder(cell: Cell) -> None:
    model = make(cell)
    source, target = draw(5, 6, 3), draw(5, 4, 2)
    output, _ = model(source, target)
    wanted = {"source": source, "target": target, **dict(model.named_parameters())}
    for name, gradient in zip(wanted, gradients(output, wanted.values()), strict=True):
        assert gradient.isfinite().all()
        if cell not in WITHOUT_SOME or name in ("source", "encoder.weight_ih_l0"):
            assert gradient.any(), name


def test_dropout_between_layers_while_training() -> None:
    model = make(cells.GRU(), dropout=0.5)
    source, target = draw(5, 6, 3), draw(5, 4, 2)
    assert not torch.allclose(model(source, target)[0], model(source, target)[0])
    model.eval()
    assert_agree(model(source, target), model(source, target))


@pytest.mark.parametrize("name", ["encoder_size", "decoder_size", "hidden_size", "num_layers"])
@pytest.mark.parametrize("value", [0, 2.0])
def test_sizes_are_refused_by_the_name_they_were_given(name: str, value: Any) -> None:
    sizes: dict[str, Any] = {"encoder_size": 3, "decoder_size": 2, "hidden_size": 4, name: value}
    with pytest.raises(ParameterError, match=f"^{name}: expected .* got {value!r}"):
        EncoderDecoder(cells.GRU(), **sizes)


def test_a_wrong_input_is_refused() -> None:
    model = make(cells.GRU())
    with pytest.raises(ParameterError, match=r"^architecture: "):
        EncoderDecoder("nothing", 3, 2, 4)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ShapeError, match="input_size = 2"):
        model(draw(5, 6, 3), draw(5, 4, 3))
