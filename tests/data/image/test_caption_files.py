import json
from pathlib import Path

import numpy as np
import pytest

from recurra.data.image.caption_files import read_captions
from recurra.data.image.captioned_images import CaptionedImage, images_of, split_rows
from recurra.data.image.pixels import content_of
from recurra.data.text.caption_words import caption_words
from recurra.errors import DataError, ParameterError

LINES = '{"image": "a.png", "captions": ["A dog.", "A black dog"], "split": "train"}\n' + (
    '{"image": "b.png", "caption": "Two cats", "split": "dev"}\n{"image": "a.png", "caption": "It runs", '
    '"split": "train"}\n'
)
COCO = {
    "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}],
    "annotations": [
        {"image_id": 7, "caption": "A dog."},
        {"image_id": 8, "caption": "Two cats"},
        {"image_id": 7, "caption": "A black dog"},
        {"image_id": 7, "caption": "It runs"},
    ],
}
KARPATHY = {
    "images": [
        {"filename": "a.png", "filepath": "val2014", "split": "restval", "sentences": [{"raw": "A dog."}]},
        {"filename": "b.png", "filepath": "val2014", "split": "val", "sentences": [{"raw": "Two cats"}]},
    ]
}
TOKEN = "a.png#0\tA dog.\nb.png#0\tTwo cats\na.png#1\tA black dog\na.png#2\tIt runs\n"
TABLE = 'image,caption\na.png,A dog.\nb.png,Two cats\na.png,"A black dog"\na.png,It runs\n'
DOG, CATS = ("A dog.", "A black dog", "It runs"), ("Two cats",)


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("lines.jsonl", LINES, ("train", "validation")),
        ("captions_val.json", json.dumps(COCO), ("", "")),
        ("Flickr8k.token.txt", TOKEN, ("", "")),
        ("captions.csv", TABLE, ("", "")),
        ("captions.tsv", TABLE.replace(",", "\t"), ("", "")),
    ],
)
def test_every_form_holds_the_same(tmp_path: Path, name: str, text: str, parts: tuple[str, str]) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    (tmp_path / name).write_text(text)
    read = read_captions(tmp_path / name)
    assert [(item.name, item.captions, item.part) for item in read] == [
        ("a.png", DOG, parts[0]),
        ("b.png", CATS, parts[1]),
    ]
    assert read[0].image == tmp_path / "images" / "a.png"
    assert read[1].image == tmp_path / "b.png"
    with pytest.raises(DataError, match="no such folder of images"):
        read_captions(tmp_path / name, tmp_path / "other")
    (tmp_path / "other").mkdir()
    assert read_captions(tmp_path / name, tmp_path / "other")[0].image == tmp_path / "other" / "a.png"


def test_karpathys_parts_and_those_of_flickr8k(tmp_path: Path) -> None:
    (tmp_path / "dataset_coco.json").write_text(json.dumps(KARPATHY))
    read = read_captions(tmp_path / "dataset_coco.json")
    assert [(item.name, item.part) for item in read] == [("val2014/a.png", "train"), ("val2014/b.png", "validation")]
    (tmp_path / "tokens.txt").write_text(TOKEN + "c.png#0\tNo part\n")
    (tmp_path / "Flickr_8k.trainImages.txt").write_text("b.png\n")
    (tmp_path / "Flickr_8k.testImages.txt").write_text("a.png\n")
    assert {item.name: item.part for item in read_captions(tmp_path / "tokens.txt")} == {
        "a.png": "test",
        "b.png": "train",
    }


def test_an_image_and_a_folder_have_no_captions(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", ".hidden.png", "notes.md"):
        (tmp_path / name).write_bytes(b"x")
    assert [item.name for item in read_captions(tmp_path)] == ["a.PNG", "b.jpg"]
    assert read_captions(tmp_path / "b.jpg")[0].captions == ()


def test_names_that_no_file_has(tmp_path: Path) -> None:
    for name in ("a" * 5000, "a\0b"):
        (tmp_path / "a.jsonl").write_text(json.dumps({"image": name, "caption": "x"}) + "\n")
        with pytest.raises(DataError, match="cannot be read"):
            content_of(read_captions(tmp_path / "a.jsonl")[0].image)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.jsonl", LINES + "{broken\n", "line 4"),
        ("a.jsonl", LINES + '{"image": "a.png", "split": "test"}\n', "line 4.*line 1"),
        ("a.jsonl", LINES + '{"image": "c.png"}\n', "line 4.*no part"),
        ("a.jsonl", '{"image": 3}\n{}\n', "line 1.*no image"),
        ("a.jsonl", '{"image": "a", "split": "fun"}\n{}\n', "line 1.*'fun'"),
        ("a.jsonl", '{"image": "a", "caption": [3]}\n{}\n', "line 1.*expected text"),
        ("a.jsonl", '{"image": "a", "caption": "\\ud800"}\n{}\n', "line 1.*surrogate"),
        ("a.json", "[1]", "annotations"),
        ("a.json", '{"images": [{"id": 1}], "annotations": []}', "image 1.*file_name"),
        ("a.json", '{"images": [{"id": [1], "file_name": "a"}], "annotations": []}', "image 1.*the id"),
        ("a.json", '{"images": [], "annotations": [{"image_id": [1], "caption": "x"}]}', r"annotation 1.*\[1\]"),
        ("a.json", json.dumps(COCO).replace("A dog", r"\ud800"), "annotation 1.*surrogate"),
        ("a.json", '{"images": [], "annotations": [{"image_id": 1, "caption": "x"}]}', "annotation 1.*image_id 1"),
        ("a.txt", TOKEN + "c.png\n", "line 5"),
        ("a.csv", "file,label\na,b\n", "names an image and a caption"),
        ("a.csv", TABLE + "c.png\n", "line 6"),
        ("a.csv", "image,caption\n", "no images"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name}.*{says}") as error:
        read_captions(tmp_path / name)
    assert "\n" not in str(error.value)


def test_words_are_those_of_coco_caption_for_captions() -> None:
    assert caption_words("Two men aren't at the dog's house, or 'play' .") == [
        "two", "men", "are", "n't", "at", "the", "dog", "'s", "house", "or", "play",
    ]  # fmt: skip
    assert caption_words("the dog \u2019s tri-colored ball costs 1,000.50 !") == caption_words(
        "The dog's tri-colored ball costs 1,000.50"
    )
    assert caption_words(" ... & ") == []
    assert caption_words("Cafe\u0301") == ["caf\u00e9"]


def test_lists_of_images() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    images = images_of(["a.png", pixels], ["One", ["Two", "Three"]])
    assert [item.captions for item in images] == [("One",), ("Two", "Three")]
    assert images_of([images[1]])[0] is images[1]
    assert images_of([pixels + 1]).digest() != images_of([pixels]).digest()
    with pytest.raises(DataError, match="2 images and 1"):
        images_of(["a", "b"], ["c"])
    with pytest.raises(DataError, match=r"image 1.*text"):
        images_of(["a"], [[3]])
    with pytest.raises(ParameterError, match="image 1"):
        images_of([3])


def test_held_out_by_image_or_by_part() -> None:
    images = images_of([f"{k}.png" for k in range(10)], ["x"] * 10)
    training, held = split_rows(images, 0.2, 0)
    assert (len(training), len(held)) == (8, 2)
    assert sorted(training + held) == list(range(10))
    assert split_rows(images, 0.0, 0) == (list(range(10)), [])
    parts = [CaptionedImage(f"{part}.png", Path(part), ("x",), part) for part in ("test", "validation", "train")]
    assert split_rows(images_of(parts), 0.5, 0) == ([2], [1])
    assert [item.part for item in images_of(parts).in_parts("test")] == ["test"]
    with pytest.raises(DataError, match="none of the part train"):
        split_rows(images_of(parts[:2]), 0.5, 0)
