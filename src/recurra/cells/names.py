"""Cells by name, for settings and command lines."""

from importlib import import_module

from recurra.cells.cell import Cell
from recurra.cells.cfc import CfC
from recurra.cells.coupled_lstm import CoupledLSTM
from recurra.cells.elman import Elman
from recurra.cells.fast_grnn import FastGRNN
from recurra.cells.gru import GRU
from recurra.cells.gru_reset_before import GRUResetBefore
from recurra.cells.indrnn import IndRNN
from recurra.cells.jordan import Jordan
from recurra.cells.layer_norm_gru import LayerNormGRU
from recurra.cells.layer_norm_lstm import LayerNormLSTM
from recurra.cells.lstm import LSTM
from recurra.cells.mgu import MGU
from recurra.cells.min_gru import MinGRU
from recurra.cells.min_lstm import MinLSTM
from recurra.cells.peephole_lstm import PeepholeLSTM
from recurra.cells.rg_lru import RGLRU
from recurra.cells.slstm import SLSTM
from recurra.cells.sru import SRU
from recurra.errors import ParameterError

__all__ = ["NAMES", "find_cell"]

NAMES: dict[str, Cell] = {
    "rnn": Elman(),
    "jordan": Jordan(),
    "lstm": LSTM(),
    "peephole_lstm": PeepholeLSTM(),
    "coupled_lstm": CoupledLSTM(),
    "layer_norm_lstm": LayerNormLSTM(),
    "gru": GRU(),
    "gru_reset_before": GRUResetBefore(),
    "layer_norm_gru": LayerNormGRU(),
    "mgu": MGU(),
    "indrnn": IndRNN(),
    "sru": SRU(),
    "min_gru": MinGRU(),
    "min_lstm": MinLSTM(),
    "rg_lru": RGLRU(),
    "slstm": SLSTM(),
    "fast_grnn": FastGRNN(),
    "cfc": CfC(),
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
