"""The network of a classifier of videos, and the classifier as a stream."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from recurra.data.labelled.series_encoding import EncodedSeries, Steps
from recurra.data.video.frames import EncodedFrames, Frames, FrameSteps
from recurra.models import ClassifierEnsemble, SequenceClassifier, StepClassifier
from recurra.models.frame_reader import FrameReader, MapReader
from recurra.models.image.frame_features import FrameMaps
from recurra.models.series_network import check_stride, make_networks
from recurra.task import Fitted
from recurra.task.architecture import trunk_of
from recurra.tasks.video.learned import VideoLearned
from recurra.training.outputs import outputs_of, step_outputs_of

__all__ = ["FittedVideo", "VideoNetwork", "logits_of", "make_network", "with_defaults"]


class VideoNetwork(nn.Module):
    """Reads a batch of normalised features, or of frames, and scores labels.

    Args:
        classifier: of the features of frames; or several; or one that labels each frame.
        reader: of the frames of videos; None: it reads features of landmarks.
    """

    def __init__(
        self,
        classifier: SequenceClassifier | ClassifierEnsemble | StepClassifier,
        reader: FrameReader | MapReader | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.reader = reader

    def forward(self, batch: Steps | FrameSteps) -> tuple[Tensor, Any]:
        """Logits (B, K), or of frames (B, T, K), and the final state of the recurrent layers."""
        if isinstance(batch, Steps):
            return self.classifier(batch.values, batch.lengths)
        assert self.reader is not None
        return self.classifier(self.reader(batch.frames, batch.lengths)[0], batch.lengths)


FittedVideo = Fitted[VideoLearned, VideoNetwork]


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a classifier of videos, with a value in place of None. Raises ParameterError."""
    values = dict(options)
    values["stride"] = values["stride"] or 1
    check_stride(values["stride"], values["filters"])
    return values


def make_network(options: Mapping[str, Any], learned: VideoLearned) -> VideoNetwork:
    """The network, its weights sampled from torch's generator.

    Args:
        options: of the classifier, by name.
        learned: from the training data.
    """
    size, reader = learned.encoding.size, None
    if isinstance(learned.features, Frames):
        names = ("channels", "differences", "map_hidden_size", "parts", "num_features")
        reader = FrameReader(learned.features.size, **{name: options[name] for name in names})
    elif isinstance(learned.features, FrameMaps):
        reader = MapReader(learned.features.blocks)
    if reader is not None:
        size = reader.output_size
    sizes = (size, options["hidden_size"], len(learned.labels))
    cell, values = trunk_of(options["cell"], options["architecture"]), with_defaults(options)
    if learned.background is not None:
        names = ("num_layers", "bidirectional", "dropout", "recurrent_dropout", "input_dropout")
        return VideoNetwork(StepClassifier(cell, *sizes, **{name: values[name] for name in names}), reader)
    networks = make_networks(SequenceClassifier, cell, sizes, values, options["input_dropout"])
    return VideoNetwork(networks, reader)


def logits_of(
    fitted: FittedVideo, encoded: EncodedSeries | EncodedFrames, network: nn.Module | None = None
) -> np.ndarray:
    """Scores of labels of each clip, or of each frame of the first clip, the second and so on (N, K).

    They are without the temperature.

    Args:
        fitted: a classifier.
        encoded: at least one clip.
        network: one with other weights; None: the classifier's own.
    """
    network = fitted.network if network is None else network
    if fitted.learned.background is not None:
        return np.concatenate(step_outputs_of(network, encoded, fitted.device))
    return outputs_of(network, encoded, fitted.device)
