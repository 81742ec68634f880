"""Recurrent cells, each the equations of its paper, in a file of its own."""

from recurra.cell_names import NAMES
from recurra.cells.brc import BRC
from recurra.cells.cell import Cell, Gates, PerUnit, Product, State
from recurra.cells.cfc import CfC
from recurra.cells.co_rnn import CoRNN
from recurra.cells.coupled_lstm import CoupledLSTM
from recurra.cells.elman import Elman
from recurra.cells.fast_grnn import FastGRNN
from recurra.cells.find import find_cell
from recurra.cells.gru import GRU
from recurra.cells.gru_d import GRUD
from recurra.cells.gru_reset_before import GRUResetBefore
from recurra.cells.indrnn import IndRNN
from recurra.cells.janet import JANET
from recurra.cells.jordan import Jordan
from recurra.cells.layer_norm_gru import LayerNormGRU
from recurra.cells.layer_norm_lstm import LayerNormLSTM
from recurra.cells.lem import LEM
from recurra.cells.lmu import LMU
from recurra.cells.lstm import LSTM
from recurra.cells.mgu import MGU
from recurra.cells.min_gru import MinGRU
from recurra.cells.min_lstm import MinLSTM
from recurra.cells.multiplicative_lstm import MultiplicativeLSTM
from recurra.cells.nbrc import NBRC
from recurra.cells.on_lstm import ONLSTM
from recurra.cells.peephole_lstm import PeepholeLSTM
from recurra.cells.phased_lstm import PhasedLSTM
from recurra.cells.rg_lru import RGLRU
from recurra.cells.rhn import RHN
from recurra.cells.slstm import SLSTM
from recurra.cells.sru import SRU
from recurra.cells.star import STAR
from recurra.cells.time_lstm import TimeLSTM
from recurra.cells.timed_cfc import TimedCfC
from recurra.cells.ugrnn import UGRNN

__all__ = [
    "BRC",
    "GRU",
    "GRUD",
    "JANET",
    "LEM",
    "LMU",
    "LSTM",
    "MGU",
    "NAMES",
    "NBRC",
    "ONLSTM",
    "RGLRU",
    "RHN",
    "SLSTM",
    "SRU",
    "STAR",
    "UGRNN",
    "Cell",
    "CfC",
    "CoRNN",
    "CoupledLSTM",
    "Elman",
    "FastGRNN",
    "GRUResetBefore",
    "Gates",
    "IndRNN",
    "Jordan",
    "LayerNormGRU",
    "LayerNormLSTM",
    "MinGRU",
    "MinLSTM",
    "MultiplicativeLSTM",
    "PeepholeLSTM",
    "PerUnit",
    "PhasedLSTM",
    "Product",
    "State",
    "TimeLSTM",
    "TimedCfC",
    "find_cell",
]
