from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from recurra.data.labelled.series import LabelledSeries, read_labelled_series
from recurra.errors import DataError

ONE = """\
% A comment
@RELATION 'one channel'
@attribute 'step 1' numeric
@attribute "step\\"2" REAL % in degrees
@attribute step_3 integer

@attribute target {up,'to the \\'side\\'',down}
@data
1,2.5,?,up
% between
?, -1e-3 ,3,'to the \\'side\\''
?,?,?,"down"
"""

SEVERAL = """\
@relation several
@attribute bag relational
  @attribute t1 numeric
  @attribute t2 numeric
  @attribute t3 numeric
@end bag
@attribute activity {Walking,Running}
@data
'1,2,?\\n4,?,?',Walking
"7,?,9\\n?,?,?",Running
"""


def read(folder: Path, text: str, needs_labels: bool = True, label_column: str = "label") -> LabelledSeries:
    path = folder / "a.arff"
    path.write_text(text, encoding="utf-8")
    return read_labelled_series(path, label_column=label_column, needs_labels=needs_labels)


def same(found: LabelledSeries, expected: list[list[list[float]]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found.series, expected, strict=True):
        np.testing.assert_array_equal(one, np.array(other, np.float32))


def test_one_channel(tmp_path: Path):
    found = read(tmp_path, ONE)
    nan = np.nan
    # The end of the first row only fills it up; a row of nothing stays.
    same(found, [[[1], [2.5]], [[nan], [-1e-3], [3]], [[nan], [nan], [nan]]])
    assert found.labels == (("up",), ("to the 'side'",), ("down",))
    assert (found.channels, found.ids) == (("1",), ("1", "2", "3"))


def test_several_channels(tmp_path: Path):
    found = read(tmp_path, SEVERAL.replace("\n", "\r\n"))
    nan = np.nan
    same(found, [[[1, 4], [2, nan]], [[7, nan], [nan, nan], [9, nan]]])
    assert found.labels == (("Walking",), ("Running",))


def test_which_attribute_is_the_class(tmp_path: Path):
    text = "@attribute label {0,1}\n@attribute a real\n@attribute b real\n@data\n1,2,3\n"
    found = read(tmp_path, text)
    same(found, [[[2], [3]]])
    assert found.labels == (("1",),)
    named = text.replace("label {0,1}", "kind numeric")
    assert read(tmp_path, named, label_column="kind").labels == (("1",),)
    same(read(tmp_path, named, needs_labels=False), [[[1], [2], [3]]])
    with pytest.raises(DataError, match=r"the last attribute is 'b' \(real\), expected the class.*--label-column"):
        read(tmp_path, named)


def test_a_missing_class(tmp_path: Path):
    text = ONE.replace("?,up", "?,?")
    assert read(tmp_path, text, needs_labels=False).labels is None
    with pytest.raises(DataError, match="line 9: the label is missing"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ONE.replace("2.5,", ""), "line 9: 3 values, expected 4, .* @attribute"),
        (ONE.replace("2.5", "x"), "line 9: value 2 is 'x', expected a number"),
        (ONE.replace("2.5", "inf"), "line 9: step 2 of channel '1' is inf"),
        (ONE.replace("?,up", "?,Up"), "line 9: target is 'Up', expected .* 'side', down"),
        (ONE.replace("1,2.5,?,up", "{0 1, 3 up"), "line 9: a sparse row without } at its end"),
        (ONE.replace("1,2.5,?,up", "{0 1, up}"), "line 9: 'up', expected the index of an attribute, from 0"),
        (ONE.replace("1,2.5,?,up", "{1 1, 0 2}"), "line 9: the index 0, expected more than 1 and less than 4"),
        (ONE.replace("1,2.5,?,up", "{4 1}"), "line 9: the index 4, expected more than -1 and less than 4"),
        (ONE.replace("1,2.5,?,up", "{0 x, 3 up}"), "line 9: value 1 is 'x', expected a number"),
        (ONE.replace("1,2.5,?,up", "{0 1, 3 left}"), "line 9: target is 'left', expected one of up"),
        (SEVERAL.replace("'1,2,?\\n4,?,?',Walking", "{1 Walking}"), "line 9: the relational value is missing"),
        (ONE.replace('"down"', '"down'), "line 12: '\"down', expected .* quotes"),
        (
            ONE.replace("step_3 integer", "step 3 integer"),
            "line 5: .*expected @attribute NAME .*Put",
        ),
        (ONE.replace("step_3 integer", "day date"), "the attribute 'day' .* expected"),
        (ONE.replace("@RELATION", "@RELATIONS"), "line 2: .*expected @relation, @attribute, @end or @data"),
        (ONE.split("@data")[0], "no @data section. Is it an ARFF file"),
        (ONE.split("1,2.5")[0], "no rows after @data"),
        ("@data\n1\n", "the last attribute is none"),
        ("@attribute a {x}\n@data\nx\n", "0 attributes beside the class"),
        (SEVERAL.replace("4,?,?", "4,?"), "line 9: channel 1 has 3 .* 2 has 2"),
        (SEVERAL.replace("4,?,?", "4,z,?"), "line 9, channel 2: value 2 is 'z'"),
        (SEVERAL.replace("\\n4,?,?", ""), "line 10: 2 channels, expected 1"),
        (SEVERAL.replace("'1,2,?\\n4,?,?'", "?"), "line 9: the relational value is missing"),
        (SEVERAL.replace("@end bag\n", ""), "line 6: the attribute 'activity' of 'bag' .* expected numeric"),
        (SEVERAL.replace("@end bag\n@attribute activity {Walking,Running}\n", ""), "'bag' has no @end before @data"),
        (SEVERAL.replace("@end bag", "@end bag\n@attribute x real"), "2 attributes beside the class"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str):
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path, text)
    assert str(tmp_path / "a.arff") in str(error.value)


values = st.one_of(st.just(float("nan")), st.floats(width=32, allow_nan=False, allow_infinity=False))
classes = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=4)


@given(st.data(), st.integers(1, 3), st.integers(1, 4))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, channels: int, steps: int
) -> None:
    shapes = st.tuples(st.integers(1, steps), st.just(channels))
    series = data.draw(st.lists(npst.arrays(np.float32, shapes, elements=values), min_size=1, max_size=4))
    for one in series:
        one[-1] = 0  # a step that is there, as those that are not are cut off
    labels = data.draw(st.lists(classes, min_size=len(series), max_size=len(series)))
    quoted = [f"'{label.translate({39: chr(92) + chr(39), 92: chr(92) * 2})}'" for label in labels]
    names = "".join(f"@attribute t{k} numeric\n" for k in range(steps))
    header = names if channels == 1 else f"@attribute bag relational\n{names}@end bag\n"
    lines = []
    for one, label in zip(series, quoted, strict=True):
        padded = np.full((steps, channels), np.nan)
        padded[: len(one)] = one
        rows = [",".join("?" if np.isnan(v) else repr(float(v)) for v in column) for column in padded.T]
        lines.append((rows[0] if channels == 1 else '"' + "\\n".join(rows) + '"') + f" , {label}")
    text = f"{header}@attribute c {{{','.join(dict.fromkeys(quoted))}}}\n@data\n" + "\n".join(lines)
    found = read(tmp_path_factory.getbasetemp(), text)
    assert found.labels == tuple((label,) for label in labels)
    same(found, [one.tolist() for one in series])


def test_a_sparse_row_leaves_out_zeros_and_the_first_class(tmp_path: Path) -> None:
    path = tmp_path / "sparse.arff"
    path.write_text(
        "@relation sparse\n@attribute a numeric\n@attribute b numeric\n@attribute c numeric\n"
        "@attribute target {up,'not up'}\n@data\n{0 1.5, 2 ?}\n{1 -2 ,3 'not up'}\n{ }\n3,4,5,up\n"
    )
    found = read_labelled_series(path)
    assert found.labels == (("up",), ("not up",), ("up",), ("up",))
    assert [one[:, 0].tolist() for one in found.series] == [[1.5, 0], [0, -2, 0], [0, 0, 0], [3, 4, 5]]
