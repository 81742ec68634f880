"""Architectures that have a name, as lists of blocks."""

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["RECIPES", "Recipe"]


class Recipe(NamedTuple):
    """An architecture as a list.

    Attributes:
        items: the blocks, as `Architecture` reads them.
        norm: the normalisation before each block, see `Residual`.
        residual: whether each block's output is added to its input.
    """

    items: tuple[str, ...]
    norm: str = "rms"
    residual: bool = True


def _griffin(window: int | None) -> Recipe:
    """Two recurrent blocks to one of local multi-query attention, each with an MLP (De et al. 2024, section 2)."""
    recurrent = ("gated:4/3(conv:4 > rg_lru)", "mlp:3")
    return Recipe((*recurrent, *recurrent, f"attention:{window or 128}:kv_heads=1", "mlp:3"))


def _hawk(_: int | None) -> Recipe:
    """Recurrent blocks alone (De et al. 2024, section 2)."""
    return Recipe(("gated:4/3(conv:4 > rg_lru)", "mlp:3"))


def _mlstm(heads: int | None) -> Recipe:
    """mLSTM blocks with pre up-projection (Beck et al. 2024, section 2.4), without the learnable skip connection."""
    heads = heads or 4
    return Recipe((f"gated:2(conv:4 > silu > mlstm:{heads} > norm:{heads})",), norm="layer")


def _slstm(heads: int | None) -> Recipe:
    """sLSTM blocks with post up-projection (Beck et al. 2024, section 2.4), without the optional convolution."""
    heads = heads or 4
    return Recipe((f"slstm:heads={heads} > norm:{heads}", "mlp:4/3"), norm="layer")


def _xlstm(heads: int | None) -> Recipe:
    """One mLSTM block to one sLSTM block: xLSTM[1:1] (Beck et al. 2024, section 2.4)."""
    return Recipe((*_mlstm(heads).items, *_slstm(heads).items), norm="layer")


def _min_gru_block(kernel: int | None) -> Recipe:
    """A convolution, a minGRU and an MLP, as in the language model of Feng et al. 2024; the MLP is gated here."""
    return Recipe((f"conv:{kernel or 4}", "min_gru", "mlp:3"))


def _cnn_lstm(kernel: int | None) -> Recipe:
    """A convolution of all features, then an LSTM, without residual connections."""
    return Recipe((f"conv:{kernel or 5}:dense > relu", "lstm"), norm="none", residual=False)


def _lstm_attention(window: int | None) -> Recipe:
    """An LSTM, then attention to its own past."""
    return Recipe(("lstm", f"attention:{window or 128}"))


#: By name, the recipe, and what the number that may follow the name is.
RECIPES: dict[str, tuple[Callable[[int | None], Recipe], str]] = {
    "griffin": (_griffin, "window"),
    "hawk": (_hawk, ""),
    "xlstm": (_xlstm, "heads"),
    "mlstm_block": (_mlstm, "heads"),
    "slstm_block": (_slstm, "heads"),
    "min_gru_block": (_min_gru_block, "kernel size"),
    "cnn_lstm": (_cnn_lstm, "kernel size"),
    "lstm_attention": (_lstm_attention, "window"),
}
