import zipfile
from pathlib import Path

import pytest

from recurra.data.image.caption_files import read_captions
from recurra.data.image.pixels import content_of
from recurra.errors import DataError


def archive(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    return path


def test_an_archive_is_the_file_in_it_and_the_images_beside_it(tmp_path: Path) -> None:
    table = "image,caption,split\r\na.png,A dog,train\r\nb.png,Two cats,test\r\n"
    path = archive(tmp_path / "a.zip", {"set/captions.csv": table, "set/images/a.png": "AA", "README.md": "-"})
    images = read_captions(path)
    assert [one.captions for one in images] == [("A dog",), ("Two cats",)]
    assert [one.part for one in images] == ["train", "test"]
    assert content_of(images[0].image) == b"AA"
    with pytest.raises(DataError, match=r"a\.zip/set/b\.png: no such file"):
        content_of(images[1].image)
    assert read_captions(archive(tmp_path / "b.zip", {"c.csv": table, "a.png": "B"})).digest() != images.digest()


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"a.png": "AA"}, r"one file that lists its images .* got none"),
        ({"a.csv": "x", "b.jsonl": "{}"}, r"got a\.csv, b\.jsonl"),
        ({"a.jsonl": '{"image": 1}\n'}, r"a\.zip/a\.jsonl, line 1: no image is named"),
    ],
)
def test_archives_that_list_nothing_or_too_much(tmp_path: Path, members: dict[str, str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_captions(archive(tmp_path / "a.zip", members))


def test_damaged_archives(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"a.jsonl": '{"image": "a.png", "caption": "A dog"}\n', "a.png": "A" * 99})
    with pytest.raises(DataError, match="--images"):
        read_captions(path, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"A" * 99, b"B" * 99))
    with pytest.raises(DataError, match=r"a\.zip/a\.png: cannot be read from the archive"):
        read_captions(path)
    path.write_bytes(content[:60])
    with pytest.raises(DataError, match="damaged"):
        read_captions(path)
