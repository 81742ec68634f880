"""Recurrent neural networks on PyTorch: cells written once, drop-in layers, and applications from files.

Public names load on first use, which makes `import recurra` quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from recurra.openmp import wait_briefly

if TYPE_CHECKING:
    from recurra import cells, data, errors, inspection, models, ops, training
    from recurra.kernels import compile_cell
    from recurra.layers import (
        GRU,
        LSTM,
        RIM,
        RNN,
        ClockworkRNN,
        ConvLSTM,
        ConvRecurrent,
        GRUCell,
        LSTMCell,
        Recurrent,
        RecurrentCell,
        RNNCell,
        Stack,
        accelerate,
        from_keras,
        restore,
    )
    from recurra.models.transducer import joined_transducer_loss, transducer_loss
    from recurra.streaming import ChunkStepper, Stepper
    from recurra.tasks import load
    from recurra.tasks.anomaly import AnomalyDetector, AnomalyReading
    from recurra.tasks.caption import Captioner
    from recurra.tasks.classify import Classifier
    from recurra.tasks.draw import DrawingModel
    from recurra.tasks.forecast import Forecaster, ForecastReading
    from recurra.tasks.language import LanguageModel
    from recurra.tasks.music import MusicModel
    from recurra.tasks.regress import Regressor
    from recurra.tasks.sound import SoundClassifier
    from recurra.tasks.speech import SpeechRecognizer
    from recurra.tasks.tag import Tagger
    from recurra.tasks.translate import Translator
    from recurra.tasks.video import VideoClassifier
    from recurra.tuning import tune

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RIM",
    "RNN",
    "AnomalyDetector",
    "AnomalyReading",
    "Captioner",
    "ChunkStepper",
    "Classifier",
    "ClockworkRNN",
    "ConvLSTM",
    "ConvRecurrent",
    "DrawingModel",
    "ForecastReading",
    "Forecaster",
    "GRUCell",
    "LSTMCell",
    "LanguageModel",
    "MusicModel",
    "RNNCell",
    "Recurrent",
    "RecurrentCell",
    "Regressor",
    "SoundClassifier",
    "SpeechRecognizer",
    "Stack",
    "Stepper",
    "Tagger",
    "Translator",
    "VideoClassifier",
    "__version__",
    "accelerate",
    "cells",
    "compile_cell",
    "data",
    "errors",
    "from_keras",
    "inspection",
    "joined_transducer_loss",
    "load",
    "models",
    "ops",
    "restore",
    "training",
    "transducer_loss",
    "tune",
]

_NAMES = {
    "AnomalyDetector": "recurra.tasks.anomaly",
    "AnomalyReading": "recurra.tasks.anomaly",
    "Captioner": "recurra.tasks.caption",
    "Classifier": "recurra.tasks.classify",
    "DrawingModel": "recurra.tasks.draw",
    "ForecastReading": "recurra.tasks.forecast",
    "Forecaster": "recurra.tasks.forecast",
    "Translator": "recurra.tasks.translate",
    "VideoClassifier": "recurra.tasks.video",
    "Regressor": "recurra.tasks.regress",
    "SoundClassifier": "recurra.tasks.sound",
    "SpeechRecognizer": "recurra.tasks.speech",
    "Tagger": "recurra.tasks.tag",
    "LanguageModel": "recurra.tasks.language",
    "MusicModel": "recurra.tasks.music",
    "compile_cell": "recurra.kernels",
    "joined_transducer_loss": "recurra.models.transducer",
    "transducer_loss": "recurra.models.transducer",
    "ChunkStepper": "recurra.streaming",
    "Stepper": "recurra.streaming",
    "load": "recurra.tasks",
    "tune": "recurra.tuning",
    **dict.fromkeys(
        (
            *("GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell", "Recurrent", "RecurrentCell"),
            *("RIM", "ClockworkRNN", "ConvLSTM", "ConvRecurrent", "Stack"),
            *("accelerate", "from_keras", "restore"),
        ),
        "recurra.layers",
    ),
}

wait_briefly()


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in __all__:
        return import_module(f"recurra.{name}")
    raise AttributeError(f"module 'recurra' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
