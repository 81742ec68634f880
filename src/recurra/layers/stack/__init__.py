"""Stacks: blocks of any kind, one after another, as one sequence layer."""

from recurra.layers.stack.architecture import Architecture
from recurra.layers.stack.attention import AttentionState, LocalAttention
from recurra.layers.stack.block import Block
from recurra.layers.stack.clockwork import ClockworkRNN
from recurra.layers.stack.combined import Chain, Gated, Residual
from recurra.layers.stack.convolution import CausalConvolution
from recurra.layers.stack.lru import LRU
from recurra.layers.stack.mlstm import MLSTM, MLSTMState
from recurra.layers.stack.pointwise import Activation, GatedMLP, HeadNorm
from recurra.layers.stack.qrnn import QRNN
from recurra.layers.stack.recipes import RECIPES
from recurra.layers.stack.recurrent_block import RecurrentBlock
from recurra.layers.stack.rim import RIM
from recurra.layers.stack.sequence_layer import SequenceLayer
from recurra.layers.stack.stack import Stack
from recurra.layers.stack.trunk import check_hands_over, trunk

__all__ = [
    "LRU",
    "MLSTM",
    "QRNN",
    "RECIPES",
    "RIM",
    "Activation",
    "Architecture",
    "AttentionState",
    "Block",
    "CausalConvolution",
    "Chain",
    "ClockworkRNN",
    "Gated",
    "GatedMLP",
    "HeadNorm",
    "LocalAttention",
    "MLSTMState",
    "RecurrentBlock",
    "Residual",
    "SequenceLayer",
    "Stack",
    "check_hands_over",
    "trunk",
]
