from io import BytesIO
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from recurra.errors import RunError
from recurra.figures import png_of, write_figure


def waves() -> Figure:
    figure = Figure(figsize=(4, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([1, 2, 3], [1e3, 2e5, 7.0])
    left.set_yscale("log")
    left.set_title("a title", loc="left")
    right.imshow([[0.0, 1.0], [1.0, 0.0]])
    right.set_ylabel("rows")
    figure.legend([left.lines[0]], ["a curve"], loc="outside lower center")
    return figure


@pytest.mark.parametrize("dpi", [60, 120])
def test_it_is_what_matplotlib_saves(dpi: int) -> None:
    saved = BytesIO()
    waves().savefig(saved, format="png", dpi=dpi)
    content = png_of(waves(), dpi)
    with Image.open(BytesIO(content)) as ours, Image.open(saved) as theirs:
        assert ours.size == (4 * dpi, 3 * dpi)
        assert ours.tobytes() == theirs.tobytes()


def test_a_file_is_written_into_a_new_folder(tmp_path: Path) -> None:
    write_figure(waves(), tmp_path / "new" / "waves.png", dpi=50)
    with Image.open(tmp_path / "new" / "waves.png") as image:
        assert image.size == (200, 150)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["waves.png"]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file"):
        write_figure(waves(), tmp_path / "file" / "waves.png")
