"""How a recogniser is trained: what it learns of its data, batches, the loss of CTC, validation."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.data.audio.alphabet import Alphabet
from recurra.data.audio.checks import Requirements, check_utterances
from recurra.data.audio.feature_source import FeatureSource
from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.normalization import FeatureStatistics
from recurra.data.audio.splices import CutRecording, cut_at_pauses, cut_by_words, spliced
from recurra.data.audio.utterance_batches import UtteranceBatches
from recurra.data.audio.utterances import Utterances
from recurra.data.batches.prefetched import Prefetched
from recurra.data.files.problems import Problem, problem_files
from recurra.data.text.edit_distance import ErrorCounts, word_errors
from recurra.errors import DataError, RunError
from recurra.models.acoustic import CTCRecognizer, TransducerRecognizer
from recurra.models.acoustic.recognizer import Scores
from recurra.models.confidence import ConfidenceMap
from recurra.models.decoding.ctc_alignment import least_frames
from recurra.models.transducer import joined_transducer_loss
from recurra.task import Objective
from recurra.task.architecture import trunk_of
from recurra.task.registry import load
from recurra.task.tie_break import LARGEST_PART, with_tie_broken
from recurra.tasks.speech.alignment import align_rows
from recurra.tasks.speech.learned import COMMONEST, SpeechLearned
from recurra.tasks.speech.transcription import AnyFitted, Transcriber, normalization_of, word_confidence
from recurra.training import Mean, processes

__all__ = ["calibrated", "checked", "ctc_loss", "learn", "make_network", "make_objective", "split_by_speaker"]

_log = logging.getLogger("recurra.speech")
_FOR_STATISTICS = 2000  # recordings
_OF_NETWORK = (
    *("hidden_size", "num_layers", "bidirectional", "channels", "subsampling"),
    *("layer_norm", "dropout", "input_dropout", "weight_dropout"),
)
_FEWEST_TO_SPLIT = 50
_NAMED = 3
_FEW = 100  # recordings, of which the first words are likely to be few too
_SPLICES = 4.0


def split_by_speaker(data: Utterances, fraction: float | None, seed: int) -> tuple[Utterances, Utterances | None]:
    """Examples to train on, and those to validate with: other speakers where they are known, else other recordings.

    Args:
        data: all.
        fraction: of the recordings to validate with; None: a tenth, but none of fewer than 50 recordings.
        seed: of the choice.
    """
    fraction = (0.1 if len(data) >= _FEWEST_TO_SPLIT else 0.0) if fraction is None else fraction
    if not fraction:
        return data, None
    generator = np.random.default_rng(seed)
    by_speaker: dict[str, list[int]] = {}
    for row, speaker in enumerate(data.speakers):
        by_speaker.setdefault(speaker or f"of recording {row}", []).append(row)
    if len(by_speaker) < 2:
        by_speaker = {str(row): [row] for row in range(len(data))}
    wanted, chosen = max(1, round(fraction * len(data))), []
    for name in generator.permutation(sorted(by_speaker)):
        # The last speaker stays in training, however large the fraction.
        if len(chosen) >= wanted or len(chosen) + len(by_speaker[name]) >= len(data):
            break
        chosen += by_speaker[name]
    if not chosen:
        return data, None
    rest = sorted({*range(len(data))} - {*chosen})
    return data.take(rest), data.take(sorted(chosen))


def checked(utterances: Utterances, normalized: Callable[[str], str], most_unusable: float) -> Utterances:
    """The utterances that can be used, with normalised texts; the log says which cannot.

    Args:
        utterances: with their texts.
        normalized: brings a text into its form.
        most_unusable: the fraction that may be unusable.

    Raises:
        DataError: one has no text, or more than `most_unusable` cannot be used.
    """
    texts = utterances.texts
    items = (replace(item, text=normalized(text)) for item, text in zip(utterances, texts, strict=True))
    utterances = replace(utterances, items=tuple(items))
    return check_utterances(utterances, Requirements(), most_unusable=most_unusable).utterances


def learn(options: Mapping[str, Any], training: Utterances) -> SpeechLearned:
    """The alphabet, and the statistics of the features of up to 2,000 recordings. Raises DataError."""
    log_mel = LogMel(sample_rate=options["sample_rate"] or training.usual_rate, bins=options["bins"])
    rows = np.linspace(0, len(training) - 1, min(len(training), _FOR_STATISTICS)).round().astype(int)
    statistics = FeatureStatistics.of(log_mel(training[row].read(log_mel.sample_rate).samples) for row in rows)
    texts = training.texts
    alphabet = Alphabet.learn(texts, options["units"], options["vocabulary_size"])
    return SpeechLearned(alphabet, log_mel, statistics, Counter(texts).most_common(1)[0][0])


def make_network(options: Mapping[str, Any], learned: SpeechLearned) -> CTCRecognizer:
    """The network of these options."""
    step_seconds = options["subsampling"] * learned.log_mel.frame_seconds
    values = {name: options[name] for name in _OF_NETWORK}
    values["look_ahead"] = int(options["look_ahead"] / step_seconds + 1e-6)
    sizes = (trunk_of(options["cell"], options["architecture"]), learned.log_mel.feature_size, len(learned.alphabet))
    if options["output"] == "ctc":
        return CTCRecognizer(*sizes, **values)
    return TransducerRecognizer(
        *sizes, prediction_size=options["prediction_size"], joiner_size=options["joiner_size"], **values
    )


def make_objective(
    options: Mapping[str, Any],
    augmentation: Any,
    fitted: AnyFitted,
    training: Utterances,
    validation: Utterances | None,
) -> Objective:
    """Batches, loss and validation.

    Args:
        options: of the recogniser, by name.
        augmentation: how training varies recordings.
        fitted: what is to be trained.
        training: recordings to train on.
        validation: recordings to choose the best weights by. None: the last weights are used.

    Raises:
        DataError: too many recordings are too short for their text.
    """
    learned, partition = fitted.learned, processes().partition
    short = _too_short(fitted, training)
    usable = _with_splices(
        training.take([row for row in range(len(training)) if row not in short]), learned.log_mel, options
    )
    seconds = [one.seconds for one in usable]
    longest = 1.05 * max(seconds) / min(*augmentation.speeds, 1.0) + 0.1
    batches = UtteranceBatches(
        FeatureSource(
            usable,
            learned.log_mel,
            normalization_of(fitted),
            augmentation=augmentation,
            seed=options["seed"],
        ),
        [learned.alphabet.encode(text) for text in usable.texts],
        seconds,
        seconds_per_batch=max(options["batch_seconds"], longest),
        seed=options["seed"],
        labels_in_inputs=options["output"] == "transducer",
        partition=partition,
        device=fitted.device,
        short_first=True,
        plain_steps=options["plain_steps"],
    )
    return Objective(
        Prefetched(batches),
        _loss_of(fitted.network, options["ctc_weight"]),
        None if validation is None else _validation(fitted, validation),
        files=problem_files(training, validation, more=short.values()),
        record={"padding_fraction": round(batches.padding_fraction, 4)},
        steps_per_epoch=batches.steps_per_epoch,
        unit="nats per unit",
        measure="word accuracy",
        error="word error rate",
        baselines={} if validation is None else {COMMONEST: _error_of_commonest(fitted, validation)},
        words=lambda loss: f"WER {100 * loss:.2f} %",
    )


def _too_short(fitted: AnyFitted, training: Utterances) -> dict[int, Problem]:
    """The rows whose recordings have fewer steps than their text needs; the log names the first.

    Raises:
        DataError: there are more of them than the fraction of rows that may be unusable.
    """
    log_mel, factor = fitted.learned.log_mel, fitted.options["subsampling"]
    short = {}
    for row, (utterance, text) in enumerate(zip(training, training.texts, strict=True)):
        one, ids = utterance.seconds, fitted.learned.alphabet.encode(text)
        steps, needed = -(-log_mel.frames(int(one * log_mel.sample_rate)) // factor), max(1, least_frames(ids))
        if steps < needed:
            reason = (
                f"too short for its text at {factor} frames a step: {one:.2f} s, expected at least "
                f"{needed * factor * log_mel.frame_seconds:.2f} s for {len(ids)} {fitted.learned.alphabet.units}."
            )
            short[row] = Problem(training[row].where, training[row].name, reason)
    if not short:
        return short
    first = "; ".join(map(str, list(short.values())[:_NAMED]))
    assert fitted.reading is not None
    most = fitted.reading.get_params()["most_unusable"]
    if len(short) == len(training) or len(short) > most * len(training):
        raise DataError(
            f"{training.source}: {len(short):,} of {len(training):,} recordings are too short for their text, more "
            f"than the {100 * most:g} % that are allowed. {first} Use fewer frames a step (--subsampling 2), longer "
            "units (--units words), or allow more (--most-unusable 1)."
        )
    _log.warning("%s: %d of %d recordings are not trained on: %s", training.source, len(short), len(training), first)
    return short


def _with_splices(training: Utterances, log_mel: LogMel, options: Mapping[str, Any]) -> Utterances:
    """The recordings, and after them those that are made of their words.

    Args:
        training: recordings with texts.
        log_mel: the features.
        options: of the recogniser, by name.

    Raises:
        DataError: a recording cannot be read, or is too short for its text.
        RunError: there is no recogniser to align by.
    """
    fraction = options["splices"]
    if fraction is None:
        fraction = _SPLICES if len(training) < _FEW else 0.0
    if not fraction:
        return training
    cut = _cut(training, log_mel, options["align_by"])
    if not any(len(one.words) > 1 for one in cut):
        return training
    # A recording that cannot be cut is not spliced either; the others are not to be heard the more.
    made = spliced(cut, round(fraction * len(cut)), log_mel.sample_rate, options["seed"])
    _log.info("%s: %d recordings are made of the words of %d, and trained on too", training.source, len(made), len(cut))
    return replace(training, items=(*training.items, *made))


def _cut(training: Utterances, log_mel: LogMel, run: str | None) -> list[CutRecording]:
    """The recordings that can be cut. One without a speaker is a speaker of its own."""
    speakers = [speaker or f"of recording {row}" for row, speaker in enumerate(training.speakers)]
    if run is None:
        cut = [cut_at_pauses(one, speaker, log_mel) for one, speaker in zip(training, speakers, strict=True)]
    else:
        other = load(run)
        if other.task != "speech":
            raise RunError(f"{run}: a run of {other.task}, expected one of speech to align by.")
        segments = align_rows(other.fitted, training)
        rows = zip(training, speakers, segments, strict=True)
        cut = [cut_by_words(one, speaker, segment.words, log_mel.sample_rate) for one, speaker, segment in rows]
    return [one for one in cut if one is not None]


def ctc_loss(scores: Scores, target: tuple[Tensor, Tensor]) -> Tensor:
    """The loss of CTC (Graves et al. 2006): -log p of the units, in nats, divided by the number of all units.

    Args:
        scores: of the network.
        target: units (B, U) and their numbers (B,).
    """
    units, lengths = target
    # A recording that a change of speed made too short for its text does not count.
    total = F.ctc_loss(
        scores.logits.float().log_softmax(-1).transpose(0, 1),
        units,
        scores.lengths,
        lengths,
        reduction="sum",
        zero_infinity=True,
    )
    return total / lengths.sum().clamp(min=1)


def _loss_of(network: nn.Module, ctc_weight: float) -> Callable[[Any, Any], Tensor]:
    """The loss of CTC, or of a transducer: -log p of the units by both, in nats, divided by the number of all units."""
    if not isinstance(network, TransducerRecognizer):
        return ctc_loss

    def loss(scores: Scores, target: tuple[Tensor, Tensor]) -> Tensor:
        assert scores.frames is not None
        assert scores.predictions is not None
        total = joined_transducer_loss(
            network.joint_logits,
            scores.frames,
            scores.predictions,
            target[0],
            scores.lengths,
            target[1],
            reduction="sum",
            zero_infinity=True,
        )
        return total / target[1].sum().clamp(min=1) + ctc_weight * ctc_loss(scores, target)

    return loss


def calibrated(fitted: AnyFitted, validation: Utterances | None) -> SpeechLearned:
    """What was learned, with the map of confidence that fits validation data; without validation data unchanged."""
    if validation is None:
        return fitted.learned
    transcriber = Transcriber(fitted, calibrated=False)
    segments = transcriber.segments([transcriber.features(one) for one in validation])
    return replace(fitted.learned, confidence=ConfidenceMap.fit(*word_confidence(validation.texts, segments)))


def _error_of_commonest(fitted: AnyFitted, utterances: Utterances) -> float:
    """The word error rate of the commonest text of training; `_validation` has refused recordings without words."""
    total = sum((word_errors(text, fitted.learned.commonest) for text in utterances.texts), ErrorCounts())
    # The part of the loss that the network's figure has is allowed for.
    return LARGEST_PART + total.rate


def _validation(fitted: AnyFitted, utterances: Utterances) -> Callable[[nn.Module], Mean]:
    texts, read = utterances.texts, Transcriber(fitted)
    features = [read.features(one) for one in utterances]
    words = sum(len(text.split()) for text in texts)
    if not words:
        raise DataError(f"{utterances.source}: no text to validate with")

    def validate(network: nn.Module) -> Mean:
        errors = blanks = 0.0
        for text, segment in zip(texts, Transcriber(fitted, network=network).segments(features), strict=True):
            errors += word_errors(text, segment.text).errors
            blanks += not segment.text
        # While the network writes nothing, weights that write something are better.
        return Mean(with_tie_broken(errors / words, blanks / len(texts)), 1.0)

    return validate
