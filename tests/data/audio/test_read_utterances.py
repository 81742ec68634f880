import json
from pathlib import Path

import numpy as np
import pytest

from made_sounds import tone, write_sound
from recurra.data.audio.read import read_utterances
from recurra.data.audio.sound import Sound
from recurra.data.audio.utterances import Utterance, Utterances
from recurra.errors import DataError, ParameterError


def facts(utterances: Utterances, folder: Path) -> list[tuple[object, ...]]:
    return [
        (u.id, u.audio.relative_to(folder).as_posix() if isinstance(u.audio, Path) else u.audio, u.text, u.offset,
         u.duration, u.speaker)
        for u in utterances
    ]  # fmt: skip


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_nemo_manifests(tmp_path: Path) -> None:
    rows = [
        {"audio_filepath": "clips/a.wav", "text": "yes", "duration": 1.25},
        {"audio_filepath": "long.flac", "text": "no", "duration": 2, "offset": 3.5, "speaker": 7},
        {"audio_filepath": "long.flac", "text": "", "offset": 9.0, "id": "third"},
        {"audio_filepath": "b.wav", "command": "stop"},
    ]
    path = write(tmp_path / "train.jsonl", *map(json.dumps, rows), "")
    assert facts(read_utterances(str(path)), tmp_path) == [
        ("clips/a.wav", "clips/a.wav", "yes", None, 1.25, None),
        ("long.flac@3.5", "long.flac", "no", 3.5, 2.0, "7"),
        ("third", "long.flac", "", 9.0, None, None),
        ("b.wav", "b.wav", "stop", None, None, None),
    ]


def test_kaldi_folders(tmp_path: Path) -> None:
    write(tmp_path / "wav.scp", "r1 one.wav", "r2 /elsewhere/two.flac")
    write(tmp_path / "text", "r1 a b", "r2")
    write(tmp_path / "utt2spk", "r1 anna")
    utterances = read_utterances(tmp_path)
    assert (utterances.texts, utterances.speakers) == (("a b", ""), ("anna", None))
    assert [u.audio for u in utterances] == [tmp_path / "one.wav", Path("/elsewhere/two.flac")]
    write(tmp_path / "segments", "s1 r1 0.5 2.0", "s2 r1 2.0 -1")
    write(tmp_path / "text", "s1 c", "s2 d  e")
    write(tmp_path / "utt2spk", "s1 anna", "s2 anna")
    assert facts(read_utterances(tmp_path), tmp_path) == [
        ("s1", "one.wav", "c", 0.5, 1.5, "anna"),
        ("s2", "one.wav", "d  e", 2.0, None, "anna"),
    ]


def test_common_voice_and_plain_tables(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    path = write(
        tmp_path / "train.tsv", "client_id\tpath\tsentence\tage", 'x1\ta.mp3\tHe said "no".\t', "x2\tb.mp3\tSo\t"
    )
    assert facts(read_utterances(path), tmp_path) == [
        ("a.mp3", "clips/a.mp3", 'He said "no".', None, None, "x1"),
        ("b.mp3", "clips/b.mp3", "So", None, None, "x2"),
    ]
    path = write(tmp_path / "an4.tsv", "file\tspeaker\tseconds\ttext", "a/1.opus\tfash\t1.00\tyes")
    assert facts(read_utterances(path), tmp_path) == [("a/1.opus", "a/1.opus", "yes", None, 1.0, "fash")]
    path = write(tmp_path / "plain.csv", "file,text", 'b.wav,"one, two"')
    assert facts(read_utterances(path), tmp_path) == [("b.wav", "b.wav", "one, two", None, None, None)]
    path = write(tmp_path / "unlabelled.csv", "path", "b.wav")
    assert read_utterances(path)[0].text is None


def test_ljspeech(tmp_path: Path) -> None:
    write_sound(tmp_path / "wavs" / "LJ1-2.flac", tone(0.1))
    path = write(tmp_path / "metadata.csv", "LJ1-1|Dr. No|Doctor No", "LJ1-2|Yes")
    expected = [
        ("LJ1-1", "wavs/LJ1-1.wav", "Doctor No", None, None, None),
        ("LJ1-2", "wavs/LJ1-2.flac", "Yes", None, None, None),
    ]
    assert facts(read_utterances(path), tmp_path) == facts(read_utterances(tmp_path), tmp_path) == expected


def test_folders(tmp_path: Path) -> None:
    for name in ("texts/a.wav", "texts/deep/b.wav", "classes/yes/1.wav", "classes/no/1.flac", "classes/_noise_/n.wav",
                 "plain/a.wav", "plain/a.flac"):  # fmt: skip
        write_sound(tmp_path / name, tone(0.1))
    write(tmp_path / "texts" / "a.txt", "hello  there", "")
    assert facts(read_utterances(tmp_path / "texts"), tmp_path / "texts") == [
        ("a", "a.wav", "hello there", None, None, None),
        ("deep/b", "deep/b.wav", None, None, None, None),
    ]
    classes = read_utterances(tmp_path / "classes")
    assert [(u.id, u.text) for u in classes] == [("no/1", "no"), ("yes/1", "yes")]
    assert [(u.id, u.text) for u in read_utterances(tmp_path / "plain")] == [("a.flac", None), ("a.wav", None)]
    assert [(u.id, u.text) for u in read_utterances(tmp_path / "plain" / "a.wav")] == [("a.wav", None)]


def test_lists_in_python(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(0.5))
    integers = (np.stack([tone(0.5), tone(0.5)], axis=1) * 32767).astype(np.int16)
    utterances = read_utterances(
        [path, tone(0.5), integers, Sound(tone(0.5, 8000), 8000)], list("abcd"), sample_rate=16000
    )
    assert utterances.texts == ("a", "b", "c", "d")
    for utterance in utterances:
        sound = utterance.read(16000)
        assert (sound.samples.dtype, sound.sample_rate, len(sound.samples)) == (np.float32, 16000, 8000)
    np.testing.assert_allclose(utterances[2].read(16000).samples, tone(0.5), atol=1e-3)
    assert len(read_utterances(Sound(tone(), 16000))) == len(read_utterances(tone(), sample_rate=16000)) == 1
    assert read_utterances(utterances) is utterances


def test_a_segment_is_read_alone(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "long.flac", tone(3.0))
    sound = Utterance("a", path, offset=1.0, duration=0.5).read(16000)
    np.testing.assert_allclose(sound.samples, tone(3.0)[16000:24000], atol=1e-4)
    with pytest.raises(DataError, match=r"^train\.tsv, line 2: .*long\.flac: the segment begins at 9 s"):
        Utterance("a", path, offset=9.0, where="train.tsv, line 2").read(16000)


def test_the_duration_is_that_of_the_manifest_or_of_the_recording(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "long.flac", tone(3.0))
    assert Utterance("a", path).seconds == 3.0
    assert Utterance("a", path, offset=1.0).seconds == 2.0
    assert Utterance("a", path, offset=1.0, duration=0.5).seconds == 0.5
    assert Utterance("a", Sound(tone(0.5), 16000)).seconds == 0.5


def test_the_digest_tells_data_apart(tmp_path: Path) -> None:
    def digest(*utterances: Utterance) -> str:
        return Utterances(utterances).digest()

    one = Utterance("a", Path("a.wav"), "yes")
    same = Utterance("a", Path("/moved/a.wav"), "yes", where="elsewhere")
    others = [
        Utterance("a", Path("a.wav"), "no"),
        Utterance("a", Path("a.wav"), "yes", 1.0),
        Utterance("b", Path("a.wav"), "yes"),
    ]
    sounds = [Utterance("a", Sound(tone(0.1, seed=k), 16000), "yes") for k in range(2)]
    assert digest(one) == digest(same)
    assert len({digest(each) for each in [one, *others, *sounds]}) == 6


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.jsonl", ['{"audio_filepath": "a.wav", "text": "a"}', "{not json"], "a.jsonl, line 2: not JSON"),
        ("a.jsonl", ['{"text": "a"}'], "line 1: no recording is named"),
        ("a.jsonl", ['{"audio_filepath": "a.wav", "text": "a", "duration": "long"}'], "line 1: duration is 'long'"),
        ("a.jsonl", ['{"audio_filepath": "a.wav", "offset": -1}'], "line 1: offset is -1"),
        ("a.jsonl", ['{"audio_filepath": "a.wav", "text": ["a"]}'], r"line 1: the text is \['a'\]"),
        ("a.jsonl", ['{"audio_filepath": "a.wav", "text": "\\ud800"}'], "line 1: .*surrogate"),
        ("a.jsonl", ['{"audio_filepath": "a.wav"}', "[1]"], r"line 2: '\[1\]'"),
        ("a.tsv", ["path\tsentence", "a.mp3"], "a.tsv, line 2: 1 fields, expected 2"),
        ("a.tsv", ["path\tsentence", "\thello"], "a.tsv, line 2: no recording is named"),
        ("a.csv", ["name,words", "a.wav,yes"], r"a\.csv: not a list of recordings.*NeMo.*Kaldi"),
        ("metadata.csv", ["a|b", "alone"], "metadata.csv, line 2: expected id|text"),
        ("wav.scp", ["r1 sox a.wav -t wav - |"], "line 1: a command .* is not run"),
        ("wav.scp", ["r1 a.ark:17"], "line 1: 'a.ark:17' lies in an archive"),
        ("wav.scp", ["r1"], "line 1: expected a recording's id and its file"),
        ("wav.scp", ["r1 a.wav", "r1 b.wav"], "line 2: 'r1' stands on an earlier line"),
        ("a.txt", ["anything"], "not a list of recordings"),
        ("a.jsonl", [], "empty"),
    ],
)  # fmt: skip
def test_damaged_manifests_name_the_line(tmp_path: Path, name: str, lines: list[str], message: str) -> None:
    path = write(tmp_path / name, *lines)
    with pytest.raises(DataError, match=message) as caught:
        read_utterances(path.parent if name == "wav.scp" else path)
    assert "\n" not in str(caught.value)


def test_segments_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "wav.scp", "r1 a.wav")
    for line, message in (
        ("s1 r2 0 1", "'r2' is not in wav.scp"),
        ("s1 r1 2 1", "begins at 2 s"),
        ("s1 r1 x", "expected"),
    ):
        write(tmp_path / "segments", line)
        with pytest.raises(DataError, match=f"segments, line 1: .*{message}"):
            read_utterances(tmp_path)


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    write_sound(tmp_path / "mixed" / "a.wav", tone(0.1))
    write_sound(tmp_path / "mixed" / "yes" / "b.wav", tone(0.1))
    with pytest.raises(DataError, match=r"a\.wav is in none"):
        read_utterances(tmp_path / "mixed")
    (tmp_path / "mixed" / "a.txt").write_bytes(b"\xff\xff")
    with pytest.raises(DataError, match=r"a\.txt: the text is not UTF-8"):
        read_utterances(tmp_path / "mixed")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="not a list of recordings"):
        read_utterances(tmp_path / "nothing")
    (tmp_path / "meeting.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    with pytest.raises(DataError, match=r"m4a: neither a recording .*\.flac.*ffmpeg -i meeting\.m4a meeting\.wav"):
        read_utterances(tmp_path / "meeting.m4a")
    with pytest.raises(DataError, match=r"no\.wav: no such file"):
        read_utterances(tmp_path / "no.wav")
    with pytest.raises(ParameterError, match="sample_rate"):
        read_utterances([tone()])
    with pytest.raises(DataError, match="2 sounds and 1 texts"):
        read_utterances([tone(), tone()], ["a"], sample_rate=16000)
    with pytest.raises(DataError, match=r"item 1: expected a path or samples.*dict"):
        read_utterances([{}], sample_rate=16000)
    with pytest.raises(DataError, match="unsigned"):
        read_utterances([np.zeros(9, np.uint8)], sample_rate=16000)
    with pytest.raises(DataError, match="not a finite number"):
        read_utterances([np.full(9, np.nan)], sample_rate=16000)
    with pytest.raises(DataError, match="expected at least one"):
        read_utterances([])
    with pytest.raises(ParameterError, match="y: "):
        read_utterances(tmp_path, ["a"])
