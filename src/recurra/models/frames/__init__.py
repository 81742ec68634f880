"""Models of frames: at each step of a sequence a distribution over which notes sound."""

from recurra.models.frames.distributions import NADE, FrameDistribution, IndependentNotes
from recurra.models.frames.network import FrameModel

__all__ = ["NADE", "FrameDistribution", "FrameModel", "IndependentNotes"]
