"""The gated recurrent unit with layer normalisation."""

from dataclasses import dataclass

from recurra.cells.gru import GRU

__all__ = ["LayerNormGRU"]


@dataclass(frozen=True)
class LayerNormGRU(GRU):
    """Gated recurrent unit with layer normalisation (Ba, Kiros and Hinton 2016, Layer normalization).

    r = sigmoid(x_r + u_r)        x_* = a_i* N(W_i* x_t) + b_i*      (input projection)
    z = sigmoid(x_z + u_z)        u_* = a_h* N(W_h* h_{t-1}) + b_h*  (recurrent projection)
    n = tanh(x_n + r u_n)         N(v) = (v - mean v) / sqrt(var v + 1e-5), over the H units of a gate
    h = (1 - z) n + z h_{t-1}     a_*  = `norm_ih` and `norm_hh`, 1 at first

    As in the paper the reset gate comes after the matrix product and its normalisation. Two things differ: the paper
    takes mean and variance over the 2 H units of r and z at once, here each gate has its own; and its z is 1 - z here,
    as in torch.
    """

    layer_norm = True
