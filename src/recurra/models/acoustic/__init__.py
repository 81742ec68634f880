"""Networks from the frames of a recording to scores of its units, such as characters."""

from recurra.models.acoustic.look_ahead import LookAhead
from recurra.models.acoustic.recognizer import CTCRecognizer, Frames
from recurra.models.acoustic.subsampling import Subsampling
from recurra.models.acoustic.transducer import TransducerRecognizer

__all__ = ["CTCRecognizer", "Frames", "LookAhead", "Subsampling", "TransducerRecognizer"]
