"""Layers: recurrent networks as modules, over sequences and by single steps."""

from recurra.layers.accelerate import Acceleration, accelerate, restore
from recurra.layers.convolutional import ConvLSTM, ConvRecurrent
from recurra.layers.dropout import VariationalDropout
from recurra.layers.initialization import initialize
from recurra.layers.input_decay import InputDecay
from recurra.layers.keras_weights import from_keras
from recurra.layers.recurrent import Recurrent
from recurra.layers.reservoir import EchoState, Reservoir
from recurra.layers.stack import RIM, Architecture, ClockworkRNN, Stack, trunk
from recurra.layers.standard import GRU, LSTM, RNN
from recurra.layers.step import GRUCell, LSTMCell, RecurrentCell, RNNCell

__all__ = [
    "GRU",
    "LSTM",
    "RIM",
    "RNN",
    "Acceleration",
    "Architecture",
    "ClockworkRNN",
    "ConvLSTM",
    "ConvRecurrent",
    "EchoState",
    "GRUCell",
    "InputDecay",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "RecurrentCell",
    "Reservoir",
    "Stack",
    "VariationalDropout",
    "accelerate",
    "from_keras",
    "initialize",
    "restore",
    "trunk",
]
