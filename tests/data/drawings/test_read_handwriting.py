import json
from pathlib import Path

import numpy as np

from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.lined_drawing import LinedDrawing, text_size
from recurra.data.drawings.read import read_drawing, read_drawings


def test_texts_of_each_kind_of_file(tmp_path: Path) -> None:
    stroke = [[0, 4, 8], [0, 5, 0]]
    lines = [{"text": "v", "drawing": [stroke]}, {"text": "vv", "word": "ann", "drawing": [stroke]}]
    (tmp_path / "a.ndjson").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    drawings = read_drawings(tmp_path / "a.ndjson")
    assert drawings.texts == ("v", "vv")
    assert drawings.labels == ("a", "ann")
    (tmp_path / "a.csv").write_text("drawing,stroke,x,y,text\n1,1,0,0,v v\n1,1,4,5,\n2,1,0,0,w\n", encoding="utf-8")
    assert read_drawings(tmp_path / "a.csv", epsilon=0).texts == ("v v", "w")
    ink = (
        '<ink><traceGroup><annotation type="truth">part</annotation></traceGroup><annotation type="age">9</annotation>'
        '<annotation type="transcription"> v\n v </annotation><trace>0 0, 4 5</trace></ink>'
    )
    (tmp_path / "a.inkml").write_text(ink, encoding="utf-8")
    assert read_drawing(tmp_path / "a.inkml").text == "v v"
    # Files with texts and files without go together; which are needed is the model's to say.
    (tmp_path / "b.svg").write_text('<svg><path d="M0 0 1 1"/></svg>', encoding="utf-8")
    both = read_drawings([tmp_path / "a.csv", tmp_path / "b.svg"], epsilon=0)
    assert both.texts == ("v v", "w", "")
    assert both.take([2, 0]).texts == ("", "v v")
    assert read_drawings(tmp_path / "b.svg").texts == ()


def test_the_layout_of_iam_on_db(tmp_path: Path) -> None:
    strokes, texts = tmp_path / "lineStrokes" / "a01" / "a01-000", tmp_path / "ascii" / "a01" / "a01-000"
    for folder in (strokes, texts):
        folder.mkdir(parents=True)
    (texts / "a01-000u.txt").write_text("OCR:\n\nwrong\n\nCSR:\n\nA MOVE to\nstop Mr.\n", encoding="utf-8")
    for line in (1, 2, 3):
        points = "".join(f'<Point x="{x}" y="{line}" time="0.{x}"/>' for x in range(4))
        content = (
            f"<WhiteboardCaptureSession><StrokeSet><Stroke>{points}</Stroke></StrokeSet></WhiteboardCaptureSession>"
        )
        (strokes / f"a01-000u-0{line}.xml").write_text(content, encoding="utf-8")
    drawings = read_drawings(tmp_path / "lineStrokes", epsilon=0)
    assert drawings.texts == ("A MOVE to", "stop Mr.", "")
    assert drawings.labels == ("", "", "")
    np.testing.assert_array_equal(drawings.strokes[0], [[1, 0, 0], [1, 0, 0], [1, 0, 1]])
    written, left_out = drawings.with_texts()
    assert written.texts == ("A MOVE to", "stop Mr.")
    assert left_out == 1


def test_handwriting_keeps_its_units_and_other_drawings_do_not() -> None:
    lines = [np.array([[0.0, 0.0], [4.0, 0.01], [8.0, 8.0], [16.0, 0.0]])]
    assert text_size(lines, "v") == 16
    assert text_size(lines, "vvvvv") == 8
    written = LinedDrawing(lines, text="vvvvv").strokes(2.0)
    # The point near the line is left out.
    np.testing.assert_allclose(written[:, :2].sum(axis=0), [16, 0], atol=1e-5)
    assert len(written) < 40
    np.testing.assert_allclose(LinedDrawing(lines).strokes(2.0)[:, :2].sum(axis=0), [255, 0], atol=1e-3)
    np.testing.assert_allclose(LinedDrawing(lines, text="v").strokes(0.0)[0], [4, 0.01, 0])
    dot = LinedDrawing([np.array([[3.0, 4.0]])], text="v").strokes(2.0)
    np.testing.assert_array_equal(dot, [[0, 0, 1]])


def test_few_texts_are_no_reason_to_leave_drawings_out() -> None:
    strokes = (np.array([[1, 0, 1]], dtype=np.float32),) * 3
    for texts, count in (((), 3), (("v", "", ""), 3), (("v", "l", ""), 2), (("v", "l", "z"), 3)):
        written, left_out = Drawings("a", strokes, ("",) * 3, texts=texts).with_texts()
        assert (len(written), left_out) == (count, 3 - count)
