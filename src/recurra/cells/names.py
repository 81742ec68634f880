"""Cells by name, for settings and command lines."""

from importlib import import_module

from recurra.cells.cell import Cell
from recurra.cells.coupled_lstm import CoupledLSTM
from recurra.cells.elman import Elman
from recurra.cells.gru import GRU
from recurra.cells.lstm import LSTM
from recurra.cells.peephole_lstm import PeepholeLSTM
from recurra.cells.slstm import SLSTM
from recurra.errors import ParameterError

__all__ = ["NAMES", "find_cell"]

NAMES: dict[str, Cell] = {
    "rnn": Elman(),
    "lstm": LSTM(),
    "gru": GRU(),
    "peephole_lstm": PeepholeLSTM(),
    "coupled_lstm": CoupledLSTM(),
    "slstm": SLSTM(),
}


def find_cell(name: str) -> Cell:
    """The cell of a name of `NAMES`, or of "module:Class" for one of the user's own.

    Raises:
        ParameterError: where there is none.
    """
    if name in NAMES:
        return NAMES[name]
    module, colon, attribute = name.partition(":")
    if colon:
        try:
            kind = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ParameterError("cell", "a class that can be imported", name, f"({error})") from error
        if isinstance(kind, type) and issubclass(kind, Cell):
            return kind()
    raise ParameterError("cell", f"one of {', '.join(NAMES)}, or module:Class of a Cell of your own", name)
