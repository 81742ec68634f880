"""The recurrent part of a network: layers of one cell, a reservoir, or the blocks of an architecture."""

from recurra.cells import Cell
from recurra.errors import ParameterError
from recurra.layers.recurrent import Recurrent
from recurra.layers.reservoir import EchoState, Reservoir
from recurra.layers.stack.architecture import Architecture
from recurra.layers.stack.block import sizes_of
from recurra.layers.stack.stack import Stack

__all__ = ["check_hands_over", "trunk"]


def trunk(
    cell: Cell | EchoState | Architecture,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    dropout: float = 0.0,
    bidirectional: bool = False,
    recurrent_dropout: float = 0.0,
    weight_dropout: float = 0.0,
    variational: bool = False,
    elapsed_size: int = 1,
) -> Recurrent | Stack:
    """The layers of a network that read its steps, (B, T, I): what the models build in the place of a `Recurrent`.

    Args:
        cell: the equations; or of a reservoir, of one layer without dropout; or an architecture, of which `num_layers`
            repetitions are stacked.
        input_size: I.
        hidden_size: H.
        num_layers: L.
        dropout: see `Recurrent` and `Stack`; so are the others. Without a cell the last four have no meaning.
        bidirectional: whether layers also read backward.
        recurrent_dropout: on what the recurrent weights read.
        weight_dropout: on the recurrent weights.
        variational: whether the mask of `dropout` is the same at every step.
        elapsed_size: E, how many times a step has.

    Raises:
        ParameterError: for a parameter out of its range, or one that blocks or a reservoir do not have.
    """
    if isinstance(cell, Cell):
        return Recurrent(
            cell,
            input_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout,
            bidirectional=bidirectional,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            variational=variational,
            elapsed_size=elapsed_size,
        )
    if isinstance(cell, EchoState):
        if num_layers > 1:
            raise ParameterError("num_layers", "1 of a reservoir", num_layers, "Give it more units.")
        for name, value in (("recurrent_dropout", recurrent_dropout), ("weight_dropout", weight_dropout)):
            if value:
                raise ParameterError(name, "0 of a reservoir, whose weights are not trained", value)
        if elapsed_size > 1:
            raise ParameterError("elapsed_size", "1 of a reservoir, whose cell reads no times", elapsed_size)
        return Reservoir(cell, input_size, hidden_size, batch_first=True, bidirectional=bidirectional)
    if bidirectional:
        raise ParameterError("bidirectional", "False with an architecture, whose blocks read forward", bidirectional)
    for name, value in (("recurrent_dropout", recurrent_dropout), ("weight_dropout", weight_dropout)):
        if value:
            raise ParameterError(name, "0 with an architecture; `dropout` is on the output of every block", value)
    if elapsed_size > 1:
        raise ParameterError("elapsed_size", "1 with an architecture, which reads no times", elapsed_size)
    return Stack(cell, input_size, hidden_size, num_layers, batch_first=True, dropout=dropout, variational=variational)


def check_hands_over(encoder: Recurrent | Stack, decoder: Recurrent | Stack) -> None:
    """Refuse two stacks of one architecture if the state of the first does not fit the second.

    A residual stack always fits: its blocks read H features, whatever the stack reads.

    Raises:
        ParameterError: if the first block remembers its inputs, and encoder and decoder read different numbers of them.
    """
    if not isinstance(encoder, Stack) or not isinstance(decoder, Stack):
        return
    if sizes_of(encoder.initial_state()) != sizes_of(decoder.initial_state()):
        expected = "blocks with residual connections, or whose first one does not remember what it reads"
        got = f"{encoder.architecture}, of which an encoder reads {encoder.input_size} features and a decoder "
        raise ParameterError("architecture", expected, f"{got}{decoder.input_size}")
