"""The LSTM with layer normalisation."""

from dataclasses import dataclass

from recurra.cells.lstm import LSTM

__all__ = ["LayerNormLSTM"]


@dataclass(frozen=True)
class LayerNormLSTM(LSTM):
    """The equations of `LSTM` with layer normalisation (Ba, Kiros and Hinton 2016, Layer normalization).

    i = sigmoid(x_i + u_i)        x_* = a_i* N(W_i* x_t) + b_i*      (input projection)
    f = sigmoid(x_f + u_f)        u_* = a_h* N(W_h* h_{t-1}) + b_h*  (recurrent projection)
    g = tanh(x_g + u_g)           N(v) = (v - mean v) / sqrt(var v + 1e-5), over the H units of a gate
    o = sigmoid(x_o + u_o)        a_*  = `norm_ih` and `norm_hh`, 1 at first
    c = f c_{t-1} + i g
    h = o tanh(c)

    Two things differ from the paper: it takes mean and variance over the 4 H units of all gates at once, here each
    gate has its own; and it normalises the memory before the output, h = o tanh(N(c)), which is not done here. Its
    third bias is one too many beside the two shifts, and left out.
    """

    layer_norm = True
