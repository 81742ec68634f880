"""The three standard networks under torch.nn's names and constructors."""

from typing import Any

import torch

from recurra import cells
from recurra.layers.recurrent import Recurrent
from recurra.layers.torch_words import elman

__all__ = ["GRU", "LSTM", "RNN"]


class RNN(Recurrent):
    """Elman network; constructor, `state_dict`, arguments and results as torch.nn.RNN, and every option of `Recurrent`.

    See `Recurrent` for the arguments; `nonlinearity` is "tanh", "relu" or "sigmoid".
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        proj_size: int = 0,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        weight_dropout: float = 0.0,
        variational: bool = False,
        recompute: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__(
            elman(nonlinearity),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device=device,
            dtype=dtype,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            weight_dropout=weight_dropout,
            variational=variational,
            recompute=recompute,
            backend=backend,
        )
        self.nonlinearity = nonlinearity
        self.mode = f"RNN_{nonlinearity.upper()}"


class LSTM(Recurrent):
    """LSTM; constructor, `state_dict`, arguments and results as torch.nn.LSTM, and every option of `Recurrent`.

    See `Recurrent` for the arguments.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        weight_dropout: float = 0.0,
        variational: bool = False,
        recompute: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__(
            cells.LSTM(),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device=device,
            dtype=dtype,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            weight_dropout=weight_dropout,
            variational=variational,
            recompute=recompute,
            backend=backend,
        )
        self.mode = "LSTM"


class GRU(Recurrent):
    """GRU; constructor, `state_dict`, arguments and results as torch.nn.GRU, and every option of `Recurrent`.

    See `Recurrent` for the arguments; a GRU has no projected output, and refuses a `proj_size` other than 0.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        proj_size: int = 0,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        weight_dropout: float = 0.0,
        variational: bool = False,
        recompute: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__(
            cells.GRU(),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device=device,
            dtype=dtype,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            weight_dropout=weight_dropout,
            variational=variational,
            recompute=recompute,
            backend=backend,
        )
        self.mode = "GRU"
