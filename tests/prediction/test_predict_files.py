"""Tables predicted piece by piece."""

import json
import os
import resource
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from small_tables import contents, made_texts, steps, write_texts

from recurra import Classifier, load
from recurra.errors import DataError, ParameterError, RunError
from recurra.prediction import PredictedFiles, TableOptions, predict_files


def bad_rows(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / "bad_rows.csv")


def predict(run: Path, data: object, out: Path, **options: object) -> PredictedFiles:
    return predict_files(run, data, out, options=TableOptions(**options), progress=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_each_row_has_its_row(text_run: Path, tmp_path: Path, ending: str) -> None:
    pattern = write_texts(tmp_path / "in", (23, 5, 0, 11), ending)
    done = predict(text_run, pattern, tmp_path / "out", piece_rows=10, keep=("id",))
    assert (done.rows, done.bad_rows, done.tables) == (39, 0, 4)
    read = pl.read_parquet if ending == ".parquet" else pl.read_csv
    parts = [read(part) for part in done.parts]
    assert max(part.height for part in parts) == 10
    rows = pl.concat(parts)
    assert rows["id"].to_list() == [f"{file}-{k}" for file, size in enumerate((23, 5, 0, 11)) for k in range(size)]
    assert rows["row"].to_list() == [k + 1 for size in (23, 5, 0, 11) for k in range(size)]
    assert [Path(name).stem[-1] for name in rows["file"].unique(maintain_order=True)] == ["0", "1", "3"]
    texts = [text for file, size in ((0, 23), (1, 5), (3, 11)) for text in made_texts(size, file)]
    plain = Classifier.load(text_run).predictions(texts)
    assert rows["label"].to_list() == list(plain.values)
    assert rows["confidence"].to_list() == pytest.approx(plain.confidence.tolist(), abs=2e-6)
    assert bad_rows(tmp_path / "out").is_empty()


def test_options_of_the_task_and_columns_of_the_same_name(text_run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("words,label\ngood,old\nbad,older\n")
    done = predict_files(
        text_run,
        tmp_path / "a.csv",
        tmp_path / "out",
        options=TableOptions(keep=("label",), text_column="words"),
        probabilities=True,
    )
    columns = pl.read_csv(done.parts[0]).columns
    assert columns[:5] == ["file", "row", "label", "label_", "confidence"]
    assert sorted(columns[5:]) == ["p(bad)", "p(good)"]


def test_bad_rows_have_a_file_of_their_own(text_run: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_bytes(b'id,text\n1,good film\n2,good,or bad\n3,"bad\n4,caf\xe9\n5,\n6,bad\n')
    done = predict(text_run, source, tmp_path / "out")
    rows = pl.read_csv(done.parts[0])
    assert rows["row"].to_list() == [1, 2, 3, 4, 5, 6]
    assert rows["label"].is_null().to_list() == [False, True, True, True, False, False]
    bad = bad_rows(tmp_path / "out")
    assert bad["row"].to_list() == [2, 3, 4]
    assert bad["line"].to_list() == [3, 4, 5]
    assert json.loads(bad["content"][0]) == ["2", "good", "or bad"]
    assert done.bad_rows == 3
    assert "bad_rows.csv" in "".join(done.text())


def test_missing_texts_of_parquet(text_run: Path, tmp_path: Path) -> None:
    pl.DataFrame({"text": ["good", None, "bad"], "n": [1, 2, 3]}).write_parquet(tmp_path / "a.parquet")
    done = predict(text_run, tmp_path / "a.parquet", tmp_path / "out", keep=("n",), piece_rows=1)
    assert pl.concat(map(pl.read_parquet, done.parts))["label"].is_null().to_list() == [False, True, False]
    bad = bad_rows(tmp_path / "out")
    assert [json.loads(content) for content in bad["content"]] == [{"text": None, "n": 2}]


def test_texts_that_the_task_refuses(text_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = Classifier.load(text_run)
    as_they_are = Classifier.predict_texts

    def picky(self: Classifier, texts: list[str], reading: Any, **options: Any) -> pl.DataFrame:
        if any("cast" in text for text in texts):
            raise DataError("the data, item 1: no casts.")
        return as_they_are(self, texts, reading, **options)

    monkeypatch.setattr(Classifier, "predict_texts", picky)
    pattern = write_texts(tmp_path / "in", (40,))
    predict_files(estimator, pattern, tmp_path / "out", progress=False)
    expected = [k + 1 for k, text in enumerate(made_texts(40)) if "cast" in text]
    assert bad_rows(tmp_path / "out")["row"].to_list() == expected
    assert set(bad_rows(tmp_path / "out")["reason"]) == {"item 1: no casts."}


def test_resumes_with_the_pieces_that_are_missing(text_run: Path, tmp_path: Path) -> None:
    pattern, out = write_texts(tmp_path / "in", (23, 9)), tmp_path / "out"
    with open(tmp_path / "in" / "table0.csv", "a") as file:
        file.write("too,many,cells,here\n")
    predict(text_run, pattern, out, piece_rows=5)
    whole = contents(out)
    kept = (out / "part-00000.csv").stat()
    for name in ("part-00003.csv", "part-00006.csv", "bad_rows.csv"):
        (out / name).unlink()
    (out / ".part-00003.csv.1.tmp").write_text("half")
    # The piece with the bad row is predicted again, as its line was lost with the file.
    (out / "part-00004.csv").unlink()
    predict(text_run, pattern, out, piece_rows=5)
    assert contents(out) == whole
    assert (out / "part-00000.csv").stat().st_mtime_ns == kept.st_mtime_ns
    assert not (out / ".work").exists()
    for changed in ({"piece_rows": 6}, {"keep": ("id",)}):
        with pytest.raises(RunError, match="was begun with other options"):
            predict(text_run, pattern, out, **{"piece_rows": 5, **changed})
    os.utime(tmp_path / "in" / "table1.csv", (1, 1))
    with pytest.raises(RunError, match=r"another .*table1\.csv"):
        predict(text_run, pattern, out, piece_rows=5)
    (out / "plan.json").write_text("{}")
    with pytest.raises(RunError, match="damaged"):
        predict(text_run, pattern, out, piece_rows=5)
    (out / "plan.json").unlink()
    with pytest.raises(RunError, match="part-"):
        predict(text_run, pattern, out, piece_rows=5)


def test_a_full_disk_leaves_whole_pieces(text_run: Path, tmp_path: Path) -> None:
    pattern, out = write_texts(tmp_path / "in", (400, 3)), tmp_path / "out"
    predict(text_run, pattern, tmp_path / "whole", piece_rows=100)
    largest = max(map(len, contents(tmp_path / "whole").values()))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limits[1]))
    try:
        with pytest.raises(RunError, match=r"cannot be written \(File too large\)"):
            predict(text_run, pattern, out, piece_rows=100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(out.glob(".part*"))
    predict(text_run, pattern, out, piece_rows=100)
    assert contents(out) == contents(tmp_path / "whole")


def test_series_split_across_files_are_brought_together(forecast_run: Path, tmp_path: Path) -> None:
    frame = steps(5, 40)
    (tmp_path / "in").mkdir()
    for k in range(3):
        frame.filter(pl.int_range(pl.len()) % 3 == k).write_parquet(tmp_path / "in" / f"{k}.parquet")
    done = predict(forecast_run, str(tmp_path / "in"), tmp_path / "out", piece_rows=80)
    assert [len(pl.read_parquet(part)) for part in done.parts] == [6, 6, 3]
    rows, plain = pl.concat(map(pl.read_parquet, done.parts)), load(forecast_run).predict(frame)
    # The files are in the order of their names, and so are the first rows of the series.
    order = ["s0", "s3", "s1", "s4", "s2"]
    assert rows["id"].unique(maintain_order=True).to_list() == order
    assert rows.columns == plain.columns
    both = rows.join(plain, on=["id", "ds"], suffix="_plain")
    assert both.height == 15
    assert both["forecast"].to_list() == pytest.approx(both["forecast_plain"].to_list(), rel=1e-4, abs=1e-5)


def test_series_that_cannot_be_predicted(forecast_run: Path, tmp_path: Path) -> None:
    rows = steps(3, 40).with_columns(pl.col("ds").dt.to_string("%Y-%m-%d %H:%M:%S"), pl.col("y").cast(pl.String))
    broken = rows.with_columns(
        pl.when((pl.col("id") == "s1") & (pl.col("ds") == "2026-01-01 05:00:00")).then(pl.lit("high"))
        .otherwise("y").alias("y")
    ).with_columns(pl.when(pl.int_range(pl.len()) == 2).then(None).otherwise("id").alias("id"))  # fmt: skip
    broken.write_csv(tmp_path / "a.csv")
    done = predict(forecast_run, tmp_path / "a.csv", tmp_path / "out")
    assert pl.read_csv(done.parts[0])["id"].unique(maintain_order=True).to_list() == ["s0", "s2"]
    bad = bad_rows(tmp_path / "out")
    assert done.bad_rows == bad.height == 41
    assert (bad["row"][0], bad["reason"][0]) == (3, "id (the series id) is missing. Fill it in.")
    at = broken.with_row_index("row", 1).filter(pl.col("y") == "high")["row"][0]
    assert set(bad["reason"][1:]) == {bad["reason"][1]}
    assert "'high'" in bad["reason"][1]
    assert f"{tmp_path / 'a.csv'}, row {at}" in bad["reason"][1]


def test_mistakes_are_refused_before_any_piece(text_run: Path, forecast_run: Path, tmp_path: Path) -> None:
    good = pl.DataFrame({"text": ["good", "bad"], "n": [1, 2]})
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    good.write_parquet(folder / "a.parquet")
    good.with_columns(pl.col("n").cast(pl.String)).write_parquet(folder / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: the column 'n' is of type String, but Int64 in .*a\.parquet"):
        predict(text_run, folder, out, keep=("n",))
    with pytest.raises(DataError, match=r"'n' is of type Int64, expected text.*--text-column"):
        predict(text_run, folder / "a.parquet", out, text_column="n")
    with pytest.raises(DataError, match=r"no column 'm'.*--keep"):
        predict(text_run, folder, out, keep=("m",))
    whole = (folder / "a.parquet").read_bytes()
    (folder / "b.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"b\.parquet: cut short, or not a Parquet file") as cut:
        predict(text_run, folder, out)
    assert "\n" not in str(cut.value)
    assert not out.exists()
    arguments: dict[str, Any]
    for run, keep, arguments, fact in (
        (text_run, (), {"picture": "a.png"}, "piece by piece"),
        (text_run, (), {"probabilites": True}, "Did you mean 'probabilities'"),
        (forecast_run, ("id",), {}, "keep: expected none"),
    ):
        with pytest.raises(ParameterError, match=fact):
            predict_files(run, folder / "a.parquet", out, options=TableOptions(keep=keep), **arguments)
    with pytest.raises(ParameterError, match="workers"):
        TableOptions(workers=2)


def test_a_wrong_column_stops_the_first_piece(text_run: Path, forecast_run: Path, tmp_path: Path) -> None:
    steps(2, 40).rename({"y": "sales"}).write_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"none of the first 80 rows.*no column 'y'"):
        predict(forecast_run, tmp_path / "a.csv", tmp_path / "out")
    (tmp_path / "b.csv").write_text("text\n")
    with pytest.raises(DataError, match="no rows"):
        predict(text_run, tmp_path / "b.csv", tmp_path / "none")
