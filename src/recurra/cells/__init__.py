"""Recurrent cells, each the equations of its paper, in a file of its own."""

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.cells.elman import Elman
from recurra.cells.gru import GRU
from recurra.cells.lstm import LSTM

__all__ = ["GRU", "LSTM", "Cell", "Elman", "Gates", "PerUnit", "State"]
