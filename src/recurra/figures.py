"""Figures of matplotlib as PNG files."""

from io import BytesIO
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recurra.files import prepare_folder, write_bytes

__all__ = ["png_of", "write_figure"]


def png_of(figure: Figure, dpi: int = 120) -> bytes:
    """Draw a figure, once, and return it as PNG; `Figure.savefig` draws it a first time for the layout alone.

    Args:
        figure: what to draw; it keeps the resolution and its layout.
        dpi: dots an inch.
    """
    figure.set_dpi(dpi)
    content = BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def write_figure(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Write a figure into a PNG file, whole or not at all. The file's folder is made if it is not there.

    Args:
        figure: what to draw.
        path: of the file.
        dpi: dots an inch.

    Raises:
        RunError: the file cannot be written.
    """
    prepare_folder(path.parent)
    write_bytes(path, png_of(figure, dpi))
