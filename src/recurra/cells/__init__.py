"""Recurrent cells, each the equations of its paper, in a file of its own."""

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.cells.coupled_lstm import CoupledLSTM
from recurra.cells.elman import Elman
from recurra.cells.gru import GRU
from recurra.cells.lstm import LSTM
from recurra.cells.names import NAMES, find_cell
from recurra.cells.peephole_lstm import PeepholeLSTM
from recurra.cells.slstm import SLSTM

__all__ = [
    "GRU",
    "LSTM",
    "NAMES",
    "SLSTM",
    "Cell",
    "CoupledLSTM",
    "Elman",
    "Gates",
    "PeepholeLSTM",
    "PerUnit",
    "State",
    "find_cell",
]
