"""Many-to-many over the points of handwriting, given the text that is written."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.data.drawings.stroke_batches import POINT_SIZE, NextPoints, Strokes
from recurra.errors import ParameterError
from recurra.layers import Recurrent, RecurrentCell
from recurra.models.pen_mixture import PenMixture, mixture_size, pen_mixture
from recurra.models.stroke_decoder import point_surprise
from recurra.models.text_window import TextWindow, WrittenText
from recurra.shapes import check_positive, check_probability

__all__ = ["HandwritingDecoder", "HandwritingState", "WindowState", "WindowedLayer"]


class WindowState(NamedTuple):
    """The state of a layer with a window between two steps.

    Attributes:
        recurrent: of the cell, (B, H) or a tuple of these.
        context: what the window read (B, V).
        position: of the window (B, K).
        weights: the window (B, U + 1), see `Windowed`.
    """

    recurrent: Any
    context: Tensor
    position: Tensor
    weights: Tensor


class HandwritingState(NamedTuple):
    """The state of a handwriting decoder between two points.

    Attributes:
        window: of the first layer.
        upper: of each further layer, as `Recurrent` returns it.
    """

    window: WindowState
    upper: tuple[Any, ...]


class WindowedLayer(nn.Module):
    """A recurrent layer that reads a text: each step reads the input and the window of the step before, and its output
    moves the window (Graves 2013, section 5.1).

    Args:
        cell: the equations.
        input_size: J.
        hidden_size: H.
        window: on the text.
        recurrent_dropout: see `Recurrent`.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(
        self, cell: Cell, input_size: int, hidden_size: int, window: TextWindow, recurrent_dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_probability("recurrent_dropout", recurrent_dropout)
        if recurrent_dropout and cell.recurrence == "none":
            expected = f"0, as {cell!r} has no recurrent weights"
            raise ParameterError("recurrent_dropout", expected, recurrent_dropout)
        self.cell = RecurrentCell(cell, input_size + window.alphabet_size, hidden_size)
        self.window = window
        self.recurrent_dropout = recurrent_dropout

    def forward(
        self, inputs: Tensor, text: WrittenText, state: WindowState | None = None
    ) -> tuple[tuple[Tensor, Tensor, Tensor], WindowState]:
        """Read inputs.

        Args:
            inputs: (B, T, J), T at least 1.
            text: as the window prepared it.
            state: after the inputs before; None: zeros, and a window before the first character.

        Returns:
            The outputs (B, T, H), the contexts (B, T, V) and the windows (B, T, U + 1); and the state.
        """
        batch = len(inputs)
        recurrent, position = (None, None) if state is None else (state.recurrent, state.position)
        context = inputs.new_zeros(batch, self.window.alphabet_size) if state is None else state.context
        mask = None
        if self.recurrent_dropout and self.training:
            ones = inputs.new_ones(batch, self.window.query_size)
            mask = nn.functional.dropout(ones, self.recurrent_dropout)
        outputs, contexts, windows = [], [], []
        for step in inputs.unbind(1):
            recurrent = self.cell(torch.cat([step, context], 1), recurrent, recurrent_mask=mask)
            output = recurrent[0] if isinstance(recurrent, tuple) else recurrent
            context, weights, position = self.window(output, text, position)
            outputs.append(output)
            contexts.append(context)
            windows.append(weights)
        assert position is not None
        after = WindowState(recurrent, context, position, windows[-1])
        return (torch.stack(outputs, 1), torch.stack(contexts, 1), torch.stack(windows, 1)), after


class HandwritingDecoder(nn.Module):
    """The synthesis network of Graves (2013, section 5) over any cell: recurrent layers, the first of which moves a
    window over the characters of a text, and the density of each next point.

    Every layer reads the point, the one before and, above the first, what the window read. The density is computed
    from the outputs of all layers and the window. With several classes, such as writers, an embedding of the class is
    part of every input.

    Args:
        cell: the equations.
        hidden_size: H.
        alphabet_size: V, characters that texts consist of.
        num_layers: L.
        mixtures: M, components of the density.
        window: K, components of the window.
        pace: characters a point, at which the window moves at first.
        classes: below 2 the class is not read.
        class_size: features of a class.
        dropout: probability, on the output of every recurrent layer, while training.
        recurrent_dropout: see `Recurrent`.
        smallest_deviation: see `pen_mixture`.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(
        self,
        cell: Cell,
        hidden_size: int,
        alphabet_size: int,
        num_layers: int = 1,
        mixtures: int = 20,
        *,
        window: int = 10,
        pace: float = 0.05,
        classes: int = 1,
        class_size: int = 16,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        smallest_deviation: float = 1e-3,
    ) -> None:
        super().__init__()
        check_positive("num_layers", num_layers)
        check_positive("mixtures", mixtures)
        if not smallest_deviation > 0:
            raise ParameterError("smallest_deviation", "a number above 0", smallest_deviation)
        self.smallest_deviation = smallest_deviation
        self.classes = nn.Embedding(classes, class_size) if classes > 1 else None
        size = POINT_SIZE + (class_size if classes > 1 else 0)
        read = TextWindow(hidden_size, alphabet_size, window, pace)
        self.first = WindowedLayer(cell, size, hidden_size, read, recurrent_dropout)
        self.upper = nn.ModuleList(
            Recurrent(
                cell,
                size + alphabet_size + hidden_size,
                hidden_size,
                batch_first=True,
                recurrent_dropout=recurrent_dropout,
            )
            for _ in range(num_layers - 1)
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(num_layers * hidden_size + alphabet_size, mixture_size(mixtures))

    def forward(self, batch: Strokes, state: HandwritingState | None = None) -> tuple[Tensor, HandwritingState]:
        """Read handwriting.

        Args:
            batch: the points and their texts. The state is that after the longest: padding is read too.
            state: after the points before, as this returned it; None for none.

        Returns:
            Raw outputs (B, T, 6 M + 3) after each point, which `density` reads, and the state.

        Raises:
            ParameterError: the batch has no texts.
        """
        raw, _, state = self.read(batch, state)
        return raw, state

    def read(self, batch: Strokes, state: HandwritingState | None = None) -> tuple[Tensor, Tensor, HandwritingState]:
        """As `forward`, with the windows (B, T, U + 1) between the two; see `Windowed`."""
        if batch.text is None or batch.text_lengths is None:
            raise ParameterError("batch", "drawings with texts", "drawings without")
        points = batch.points
        if self.classes is not None:
            label = self.classes(batch.labels).unsqueeze(1)
            points = torch.cat([points, label.expand(-1, points.shape[1], -1)], dim=2)
        text = self.first.window.prepare(batch.text, batch.text_lengths)
        (output, context, windows), window = self.first(points, text, None if state is None else state.window)
        outputs, upper = [self.dropout(output)], []
        for k, layer in enumerate(self.upper):
            before = None if state is None else state.upper[k]
            output, after = layer(torch.cat([points, context, outputs[-1]], 2), before)
            outputs.append(self.dropout(output))
            upper.append(after)
        raw = self.output(torch.cat([*outputs, context], 2))
        return raw, windows, HandwritingState(window, tuple(upper))

    def ending(self, state: HandwritingState, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Where the window stands, for when a drawing ends.

        Args:
            state: after some points.
            lengths: of the texts (B,).

        Returns:
            bool (B,) each: whether it has reached the last character, so that the drawing may end; and whether it has
            passed it, so that the drawing ends once the pen is lifted: the window is heavier after the text than on any
            character of it. Graves (2013, section 5.1) ends at that point, which cuts a letter whose end the network
            draws while its window is already on what follows.
        """
        heaviest = state.window.weights.argmax(1)
        # Far behind the text all weights are 0.
        behind = state.window.position.min(1).values > lengths + 1
        return (heaviest >= lengths - 1) | behind, (heaviest >= lengths) | behind

    def density(self, raw: Tensor) -> PenMixture:
        """The density that raw outputs (..., 6 M + 3) stand for."""
        return pen_mixture(raw, self.smallest_deviation)

    def surprise(self, raw: Tensor, target: NextPoints) -> tuple[Tensor, Tensor]:
        """How surprising the next points are; see `StrokeDecoder.surprise`."""
        return point_surprise(self.density(raw), target)
