"""The recogniser of speech: its options and verbs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recurra.data.audio.augmentation_options import AugmentationOptions
from recurra.data.audio.transcripts import TranscriptForm
from recurra.data.files.problems import MostUnusable
from recurra.data.files.standard_input import is_standard_input, read_standard_input
from recurra.errors import ExportError, ParameterError, StreamError
from recurra.options import Option, Options, Range, option
from recurra.task import Estimator, task, verb
from recurra.task.architecture import ArchitectureOptions
from recurra.task.checks import check_cell
from recurra.tasks.speech.learned import SpeechLearned

# Modules that need torch or numpy are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from torch import nn

    from recurra.data.audio.utterances import Utterances
    from recurra.models.acoustic import CTCRecognizer
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.speech.alignment import Alignments
    from recurra.tasks.speech.results import Ngrams, Transcripts, Written

__all__ = ["Search", "SpeechReading", "SpeechRecognizer"]

_SUBSAMPLINGS = (2, 4, 8)
_DATA = Option(help="recording, list of recordings or folder; - is samples from standard input", group="data")
_FORM = Option(help="how the transcript is written; by default as the ending of --out says, else as text", main=True)


def _check_subsampling(name: str, value: int) -> None:
    if value not in _SUBSAMPLINGS:
        raise ParameterError(name, f"one of {', '.join(map(str, _SUBSAMPLINGS))}", value)


class Search(Options):
    """How the text is searched for: the best unit at each step, or a beam with a language model and hot words."""

    beam_size: int | None = option(
        default=None,
        at_least=1,
        help="texts in the beam; 1: the best unit at each step; by default 1, or with a language model, a lexicon, hot "
        "words or several texts 50, of a transducer 8",
    )
    lm: str | None = option(
        default=None,
        help="n-gram language model of words, a file in ARPA's format, or the folder of a run of train language",
        main=True,
    )
    lm_weight: float = option(default=0.5, at_least=0, help="weight of the model's log-probability")
    word_bonus: float = option(default=0.0, help="what each word adds to a text's score, in nats")
    closed: bool = option(default=False, help="write words of the n-gram model only")
    lexicon: str | None = option(default=None, help="write the words of this file only: the first of each line")
    hot_words: tuple[str, ...] = option(default=(), help="words or phrases to expect, separated by commas", main=True)
    hot_weight: float = option(default=4.0, help="what each hot word adds to a text's score, in nats")
    n_best: int = option(default=1, at_least=1, help="texts of each recording that predict writes, up to the beam size")

    def check(self) -> None:
        if self.closed and (self.lm is None or Path(self.lm).is_dir()):
            way_out = "Name the words that may be: --lexicon FILE."
            raise ParameterError("closed", "false without an n-gram model (--lm FILE)", True, way_out)
        if self.closed and self.lexicon is not None:
            raise ParameterError("closed", "false with a lexicon", True)
        if self.beam_size == 1 and self._weighs_texts:
            raise ParameterError("beam_size", "at least 2 with a language model, a lexicon or hot words", 1)
        if self.beam_size is not None and self.n_best > self.beam_size:
            raise ParameterError("n_best", f"at most beam_size = {self.beam_size}", self.n_best)
        if not all(phrase.split() for phrase in self.hot_words):
            raise ParameterError("hot_words", "words or phrases, none of them empty", self.hot_words)

    @property
    def is_greedy(self) -> bool:
        """Whether the best unit at each step is taken."""
        return self.beam_size == 1 or (self.beam_size is None and self.n_best == 1 and not self._weighs_texts)

    @property
    def _weighs_texts(self) -> bool:
        return self.lm is not None or self.lexicon is not None or bool(self.hot_words)


class SpeechReading(TranscriptForm, MostUnusable):
    """How recordings and their texts are read."""


_SEARCH = Search()


@task("speech")
class SpeechRecognizer(
    ArchitectureOptions, AugmentationOptions, Estimator["Utterances", SpeechLearned, "CTCRecognizer"]
):
    """A recogniser of speech: convolutions, recurrent layers, and CTC (Graves et al. 2006) or a transducer (2012).

    Data are a list of recordings with their texts: JSON lines (NeMo), a Kaldi folder, Common Voice's TSV, LJSpeech's
    metadata.csv, a table, a folder of recordings with a .txt beside each; or a list of paths or arrays of samples, with
    texts as `y`. A network without `bidirectional` transcribes live, as samples come.

    Example:
        >>> recognizer = SpeechRecognizer(epochs=60).fit("train.jsonl", validation="dev.jsonl")
        >>> recognizer.predict(["meeting.wav"])
        >>> recognizer.evaluate("test.jsonl").scores["WER"]
        >>> recognizer.save("runs/asr")
    """

    noun = "recogniser"
    Reading = SpeechReading
    learned_class = SpeechLearned
    several_sources = False

    units: Literal["characters", "subwords", "words"] = option(
        default="characters", help="what the network writes", group="network", main=True
    )
    vocabulary_size: int = option(default=300, at_least=1, help="subwords at most", group="network")
    output: Literal["ctc", "transducer"] = option(
        default="ctc",
        help="how units are written: each step by itself (ctc), or also by the units before (transducer)",
        group="network",
        main=True,
    )
    prediction_size: int = option(
        default=128, at_least=1, help="units of a transducer's prediction network", group="network"
    )
    joiner_size: int = option(default=256, at_least=1, help="units of a transducer's joiner", group="network")
    ctc_weight: float = option(
        default=0.5, above=0, help="weight of the loss of CTC beside that of a transducer", group="network"
    )
    cell: str = option(
        default="lstm", check=check_cell, help="name of a cell, or module:Class of your own", group="network"
    )
    num_layers: int = option(
        default=3, at_least=1, help="recurrent layers", group="network", main=True, search=Range(2, 4)
    )
    hidden_size: int = option(
        default=256,
        at_least=1,
        help="units of each direction of a layer",
        group="network",
        main=True,
        search=Range(128, 384, step=64),
    )
    bidirectional: bool = option(
        default=True,
        help="whether recordings are also read backward; without it, the network transcribes live",
        group="network",
        main=True,
    )
    look_ahead: float = option(
        default=0.0,
        at_least=0,
        help="seconds that a network without bidirectional looks ahead at most, before it writes",
        group="network",
    )
    layer_norm: bool = option(
        default=True,
        help="whether a layer normalisation follows each recurrent layer; CTC then begins to write much sooner, but "
        "the network may bear noise less that training does not have",
        group="network",
    )
    channels: int = option(default=32, at_least=1, help="filters of each convolution", group="network")
    subsampling: int = option(
        default=4,
        check=_check_subsampling,
        help="frames of 10 milliseconds that the convolutions make one step of: 2, 4 or 8",
        group="network",
    )
    sample_rate: int | None = option(
        default=None,
        at_least=1000,
        help="samples a second, to which recordings are resampled; by default that of most recordings, at most 16,000",
        group="features",
    )
    bins: int | None = option(
        default=None,
        at_least=3,
        help="bands of the mel scale; by default 80 for at least 16,000 samples a second, 60 for at least 8,000, else "
        "30",
        group="features",
    )
    normalization: Literal["utterance", "sliding", "training"] | None = option(
        default=None,
        help="whose mean is taken from features: that of the utterance, of the last 3 seconds, or of training; by "
        "default of the utterance with bidirectional, else of training",
        group="features",
    )
    dropout: float = option(
        default=0.2,
        at_least=0,
        at_most=1,
        help="dropout of what the layers put out, the same at every step of a recording",
        group="regularization",
        main=True,
        search=Range(0, 0.5),
    )
    input_dropout: float = option(
        default=0.1,
        at_least=0,
        at_most=1,
        help="dropout of what the convolutions put out",
        group="regularization",
        search=Range(0, 0.3),
    )
    weight_dropout: float = option(
        default=0.0, at_least=0, at_most=1, help="dropout of the recurrent weights", group="regularization"
    )
    splices: float | None = option(
        default=None,
        at_least=0,
        help="new recordings for each one of training, made of the words of recordings of the same speaker; by default "
        "4 with fewer than 100 recordings, else 0",
        group="augmentation",
    )
    align_by: str | None = option(
        default=None,
        help="run of a recogniser that says where the words of recordings are, for splices; by default only recordings "
        "with plain pauses between all words are spliced",
        group="augmentation",
    )
    plain_steps: int = option(
        default=300,
        at_least=0,
        help="steps at the beginning in which training does not vary recordings: CTC then begins to write sooner",
        group="augmentation",
    )
    batch_seconds: float = option(
        default=45.0,
        above=0,
        help="seconds of the recordings of a batch at most, padding included",
        group="training",
        main=True,
        search=(30.0, 45.0, 90.0),
    )
    validation_fraction: float | None = option(
        default=None,
        at_least=0,
        at_most=0.5,
        help="fraction of the recordings held out to choose the best weights by, those of other speakers where these "
        "are known, if there are no validation data; by default 0.1, but none of fewer than 50",
        group="validation",
    )

    def check(self) -> None:
        if self.bidirectional and self.look_ahead:
            expected = "0 with bidirectional, which reads to the end"
            raise ParameterError("look_ahead", expected, self.look_ahead, "Or use --no-bidirectional.")
        if not self.bidirectional and self.normalization == "utterance":
            expected = "training or sliding without bidirectional, as a stream does not know its mean"
            raise ParameterError("normalization", expected, self.normalization)

    @property
    def sound_format(self) -> dict[str, int]:
        return {"sample_rate": self.fitted.learned.log_mel.sample_rate, "window": 1, "shift": 1}

    def read(self, source: Any, y: Any, reading: SpeechReading | None, labelled: bool) -> "Utterances":
        from recurra.data.audio.read import read_utterances
        from recurra.tasks.speech.training import checked

        rate = self.sample_rate
        if not labelled and self._fitted is not None:
            rate = self._fitted.learned.log_mel.sample_rate
        utterances = read_utterances(source, y, sample_rate=rate)
        if labelled:
            reading = reading or SpeechReading()
            utterances = checked(utterances, reading.normalized, reading.most_unusable)
        return utterances

    def split(self, data: "Utterances") -> "tuple[Utterances, Utterances | None]":
        from recurra.tasks.speech.training import split_by_speaker

        return split_by_speaker(data, self.validation_fraction, self.seed)

    def describe(self, training: "Utterances", validation: "Utterances | None") -> str:
        minutes = sum(one.seconds for one in training) / 60
        speakers = len({*training.speakers} - {None})
        by = f" of {speakers:,} speakers" if speakers else ""
        validated = "" if validation is None else f"; validated on {len(validation):,}"
        return f"{len(training):,} recordings{by}, {minutes:,.1f} minutes, of {training.source}{validated}"

    def learn(self, training: "Utterances", validation: "Utterances | None") -> SpeechLearned:
        from recurra.tasks.speech.training import learn

        return learn(self.get_params(), training)

    def network(self, learned: SpeechLearned) -> "CTCRecognizer":
        from recurra.tasks.speech.training import make_network

        return make_network(self.get_params(), learned)

    def objective(
        self,
        fitted: "Fitted[SpeechLearned, CTCRecognizer]",
        training: "Utterances",
        validation: "Utterances | None",
    ) -> "Objective":
        from recurra.tasks.speech.training import make_objective

        return make_objective(self.get_params(), self, fitted, training, validation)

    def finish(
        self,
        fitted: "Fitted[SpeechLearned, CTCRecognizer]",
        training: "Utterances",
        validation: "Utterances | None",
    ) -> SpeechLearned:
        from recurra.tasks.speech.training import calibrated

        return calibrated(fitted, validation)

    def standard_steps(self, steps_per_epoch: int) -> int:
        return min(max(100 * steps_per_epoch, 1000), 20_000)

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """See `Estimator.export_network`: log-mel features in, scores of units out."""
        if self.output == "transducer":
            raise ExportError("a transducer is searched with two networks more; its network is not exported")
        learned = self.fitted.learned
        return self.fitted.network, {
            "symbols": list(learned.alphabet.symbols),
            "statistics": learned.statistics.to_json(),
            "log_mel": learned.log_mel.get_params(),
        }

    @verb("transcribe recordings: a table of ids, texts and their confidence", endings=(".csv", ".txt"))
    def predictions(self, data: Annotated[Any, _DATA], *, search: Search = _SEARCH) -> "Transcripts":
        """The text of recordings, with its confidence.

        Args:
            data: as for `fit`, with texts or without, or a recording.
            search: how texts are searched for.

        Raises:
            DataError: a recording cannot be used.
        """
        from recurra.tasks.speech.results import Transcripts

        return Transcripts(self.fitted, self.read(data, None, None, False), search)

    @verb("test a trained run beside a simple baseline: word and character error rates, by speaker")
    def evaluate(
        self, data: Any, y: Any = None, *, reading: SpeechReading | None = None, search: Search = _SEARCH
    ) -> "Evaluation":
        """Word and character error rates, beside the commonest text of training.

        Args:
            data: as for `fit`.
            y: texts, as for `fit`.
            reading: how texts are normalised before they are compared; None: as in training.
            search: how texts are searched for.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.speech.results import evaluate

        return evaluate(self.fitted, self.data_for(data, y, reading, labelled=True), search)

    def open_stream(
        self,
        weights: str = "float32",
        look_ahead: int | None = None,
        *,
        search: Search = _SEARCH,
        pause: float | None = None,
        longest: float | None = None,
    ) -> "ItemStream":
        """See `Estimator.open_stream`: an item is any number of samples, or None at the end of a recording.

        A result has "final", the utterances that end in the item, and "partial", what has been written of the next
        one; each with "begin", "end", "text", "confidence" and its "words", in seconds from the first sample on.

        Args:
            weights: see `Estimator.open_stream`.
            look_ahead: None: how far the network looks ahead is an option of its training.
            search: how the text of an utterance is searched for when it ends. A beam's scores are part of the state.
            pause: seconds of silence that end an utterance; None: 0.8.
            longest: seconds of an utterance at most; None: 20.

        Raises:
            StreamError: the network reads backward, or a look-ahead was given.
        """
        from recurra.tasks.speech.live import LONGEST, PAUSE, open_stream

        if not self.bidirectional and look_ahead is not None:
            raise StreamError("look_ahead: how far a recogniser looks ahead is an option of its training, in seconds")
        pause = PAUSE if pause is None else pause
        return open_stream(self.fitted, weights, search, pause, LONGEST if longest is None else longest)

    @verb("write recordings as text, subtitles or words with times; - transcribes samples as they come")
    def transcribe(
        self,
        data: Annotated[Any, _DATA],
        *,
        search: Search = _SEARCH,
        form: Annotated[Literal["text", "srt", "vtt", "json", "ctm"] | None, _FORM] = None,
        srt: Annotated[bool, Option(help="write SubRip subtitles, as --form srt", main=True)] = False,
        pause: Annotated[float, Option(help="seconds of silence that end an utterance, live", above=0)] = 0.8,
        longest: Annotated[float, Option(help="seconds of an utterance at most, live", above=0)] = 20.0,
        rate: Annotated[int | None, Option(help="samples a second of raw standard input", at_least=1000)] = None,
        partial: Annotated[bool, Option(help="show words before their utterance ends, live in a terminal")] = True,
    ) -> "Written":
        """Transcribe recordings, or samples from standard input as they come.

        Args:
            data: a recording, a list or folder of them; "-": raw 16-bit samples of one channel, or a WAV stream.
            search: how texts are searched for. Live, a beam is searched when an utterance ends; until then the best
                units are shown.
            form: "text", "srt", "vtt", "json" (a line for each utterance, with the times and the confidence of its
                words) or "ctm". None: that of the ending of the file that is written, else text, with the time of each
                utterance if samples come live.
            srt: the same as "srt".
            pause: seconds of silence that end an utterance. For networks that transcribe live.
            longest: seconds of an utterance at most. For these too.
            rate: samples a second of raw standard input. None: those of the network.
            partial: whether a terminal shows words before their utterance ends.

        Raises:
            DataError: a recording cannot be used.
            ParameterError: both `form` and `srt` are set.
            StreamError: samples come live, and the network reads backward.
        """
        from recurra.tasks.speech.live import LiveTranscriber
        from recurra.tasks.speech.results import Written

        if srt and form not in (None, "srt"):
            raise ParameterError("form", "srt or nothing beside --srt", form)
        utterances = None if is_standard_input(data) else self.read(data, None, None, False)
        whole = utterances is not None and self.bidirectional
        live = None if whole else LiveTranscriber(self.fitted, pause, longest, search)
        return Written(self.fitted, utterances, search, "srt" if srt else form, live, rate, partial)

    @verb("find where the words of known texts are in their recordings: words and characters with times")
    def align(
        self,
        data: Any,
        y: Any = None,
        *,
        reading: SpeechReading | None = None,
        form: Annotated[
            Literal["json", "ctm", "textgrid"] | None,
            Option(help="how the times are written; by default as the ending of --out says, else json", main=True),
        ] = None,
    ) -> "Alignments":
        """Align known texts with their recordings, by Viterbi's algorithm over the lattice of CTC.

        Args:
            data: recordings with their texts, as for `fit`. A recording is read as a whole, however long it is.
            y: texts, as for `fit`.
            reading: how texts are normalised before they are aligned; None: as in training.
            form: "json" (a line for each recording, with words and their units), "ctm" (a line for each word), or
                "textgrid" (Praat: tiers of words and units; a file for each of several recordings). None: that of the
                ending of the file that is written, else "json".

        Raises:
            DataError: the data cannot be used, a text has units that are not in the alphabet, or a recording is too
                short for its text.
        """
        from recurra.tasks.speech.alignment import Alignments

        return Alignments(self.fitted, self.data_for(data, y, reading, labelled=True), form)

    @verb("estimate an n-gram language model of words from texts, which transcribe and evaluate take as --lm")
    def ngrams(
        self,
        data: Annotated[Any, Option(help="text file, a sentence a line, or recordings with their texts", group="data")],
        *,
        order: Annotated[int, Option(help="words of the longest n-gram", at_least=1, at_most=9, main=True)] = 4,
    ) -> "Ngrams":
        """Estimate an n-gram model with Kneser-Ney smoothing, of texts in the form of the training's transcripts.

        Args:
            data: the path of a text file (.txt, a sentence a line; "-" for standard input), a list of sentences, or
                recordings with their texts, as for `fit`.
            order: words of the longest n-gram.

        Raises:
            DataError: the data cannot be used, or hold no words.
        """
        from recurra.tasks.speech.results import Ngrams

        return Ngrams(self._sentences(data), order)

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any,
        *,
        row: Annotated[int | None, Option(help="recording to show, from 1; by default one of about 2 seconds")] = None,
        name: str = "",
    ) -> "View":
        """Inspect how one recording is read, and where its units are written.

        Args:
            data: recordings, as for `fit`.
            row: the recording to show, from 1; None: one of about two seconds.
            name: of the run, for the page.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is no such recording.
        """
        from recurra.tasks.speech.view import view

        return view(self.fitted, self.data_for(data), row, name)

    def _sentences(self, data: Any) -> list[str]:
        """Texts as the training's transcripts are written; see `ngrams`."""
        from recurra.data.files.text_file import read_text

        form = self.later_reading() or SpeechReading()
        if is_standard_input(data):
            lines = read_standard_input()[0].splitlines()
        elif isinstance(data, str | Path) and Path(data).suffix.lower() == ".txt":
            lines = read_text(data).splitlines()
        elif isinstance(data, list | tuple) and all(isinstance(one, str) for one in data):
            lines = data
        else:
            return list(self.data_for(data, labelled=True).texts)
        return [text for text in map(form.normalized, lines) if text]
