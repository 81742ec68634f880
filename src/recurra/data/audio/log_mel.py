"""Log-mel features of sound, of a whole recording and of a stream of samples alike."""

from typing import Any

import numpy as np

from recurra.data.audio.libraries import kaldi_native_fbank
from recurra.errors import ParameterError, ShapeError
from recurra.options import Options, option

__all__ = ["LogMel", "LogMelStream"]


class LogMel(Options):
    """Logarithms of the energy in bands of the mel scale, by kaldi-native-fbank and without dither.

    A frame is computed from its window of samples alone. A sound of N samples has T = 1 + (N - W) // S frames, where W
    is the samples of a window and S those of a shift, and none if N < W: 98 frames for a second at 25 and 10
    milliseconds. Frame t covers the seconds from t S to t S + W. Samples have full scale at -1 and 1; energies below
    1.19e-7 count as that, about the noise of one bit in 16.

    Example:
        >>> log_mel = LogMel(sample_rate=16000)
        >>> log_mel(samples).shape  # a second
        (98, 80)
    """

    sample_rate: int = option(
        default=16000, at_least=1000, help="samples a second; recordings are resampled to it", group="sound"
    )
    bins: int | None = option(
        default=None,
        at_least=3,
        help="bands of the mel scale; by default 80 for at least 16,000 samples a second, 60 for at least 8,000, else "
        "30",
        group="sound",
    )
    window_ms: float = option(default=25.0, above=0, help="milliseconds that a frame covers", group="sound")
    shift_ms: float = option(default=10.0, above=0, help="milliseconds from one frame to the next", group="sound")
    low_hz: float = option(default=20.0, at_least=0, help="lower end of the lowest band", group="sound")
    high_hz: float | None = option(
        default=None, above=0, help="upper end of the highest band; by default half the sample rate", group="sound"
    )

    def check(self) -> None:
        """Check the rules between options. Raises ParameterError."""
        if self.high_hz is not None and not self.low_hz < self.high_hz <= self.sample_rate / 2:
            expected = f"above low_hz ({self.low_hz:g}) and at most half the sample rate ({self.sample_rate / 2:g})"
            raise ParameterError("high_hz", expected, self.high_hz)
        if self.low_hz >= self.sample_rate / 2:
            raise ParameterError("low_hz", f"below half the sample rate ({self.sample_rate / 2:g})", self.low_hz)
        if self.window < 8:
            raise ParameterError("window_ms", f"at least 8 samples at {self.sample_rate} a second", self.window_ms)
        if self.shift < 1:
            raise ParameterError("shift_ms", f"at least a sample at {self.sample_rate} a second", self.shift_ms)

    @property
    def feature_size(self) -> int:
        """F, the number of bands."""
        if self.bins is not None:
            return self.bins
        return 80 if self.sample_rate >= 16000 else 60 if self.sample_rate >= 8000 else 30

    @property
    def window(self) -> int:
        """W, the samples of a frame's window."""
        return int(self.sample_rate * 0.001 * self.window_ms)

    @property
    def shift(self) -> int:
        """S, the samples from one frame to the next."""
        return int(self.sample_rate * 0.001 * self.shift_ms)

    @property
    def frame_seconds(self) -> float:
        """The seconds from one frame to the next."""
        return self.shift / self.sample_rate

    def frames(self, samples: int) -> int:
        """T, the number of frames of a sound of N samples."""
        return 1 + (samples - self.window) // self.shift if samples >= self.window else 0

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """The features (T, F) float32 of samples (N,) at `sample_rate`. Raises ShapeError, MissingExtraError."""
        return self.stream().accept(samples)

    def stream(self) -> "LogMelStream":
        """The features of samples that come in chunks.

        Raises:
            ParameterError: there are so many bands that one is narrower than what the window resolves.
            MissingExtraError: the extra `audio` is not installed.
        """
        return LogMelStream(self)

    def extractor(self) -> Any:
        """An extractor of kaldi-native-fbank with these options. Raises ParameterError, see `stream`."""
        library = kaldi_native_fbank()
        options = library.FbankOptions()
        options.frame_opts.samp_freq = self.sample_rate
        options.frame_opts.frame_length_ms = self.window_ms
        options.frame_opts.frame_shift_ms = self.shift_ms
        options.frame_opts.dither = 0.0
        options.frame_opts.snip_edges = True
        options.mel_opts.num_bins = self.feature_size
        options.mel_opts.low_freq = self.low_hz
        options.mel_opts.high_freq = self.high_hz or 0.0
        try:
            return library.OnlineFbank(options)
        except ValueError:
            hint = "A band is narrower than what the window resolves: fewer bins, or a longer window_ms."
            raise ParameterError(
                "bins", f"fewer, at a window of {self.window} samples", self.feature_size, hint
            ) from None


class LogMelStream:
    """The features of one stream of samples, the same numbers in chunks of any size. Memory does not grow."""

    def __init__(self, log_mel: LogMel) -> None:
        self._sample_rate = log_mel.sample_rate
        self._feature_size = log_mel.feature_size
        self._extractor = log_mel.extractor()
        self._done = 0

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """The features (t, F) float32 of the frames that the next samples (n,) complete; t may be 0.

        Raises:
            ShapeError: the samples are not of one dimension, or not floating-point.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            expected = "floating-point numbers (N,) with full scale at -1 and 1"
            raise ShapeError("samples", expected, f"{samples.dtype} of shape {samples.shape}")
        if len(samples):
            self._extractor.accept_waveform(self._sample_rate, samples)
        ready = self._extractor.num_frames_ready
        features = np.empty((ready - self._done, self._feature_size), np.float32)
        for row, frame in enumerate(range(self._done, ready)):
            features[row] = self._extractor.get_frame(frame)
        self._extractor.pop(ready - self._done)
        self._done = ready
        return features
