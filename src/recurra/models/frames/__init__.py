"""Models of frames: at each step of a sequence a distribution over which notes sound."""

from recurra.models.frames.distributions import NADE, FrameDistribution, IndependentNotes
from recurra.models.frames.live import stream_frames
from recurra.models.frames.network import FrameBiases, FrameModel
from recurra.models.frames.reading import ReadFrames, read_frames
from recurra.models.frames.sampling import sample_frames
from recurra.models.frames.search import search_frames

__all__ = [
    "NADE",
    "FrameBiases",
    "FrameDistribution",
    "FrameModel",
    "IndependentNotes",
    "ReadFrames",
    "read_frames",
    "sample_frames",
    "search_frames",
    "stream_frames",
]
