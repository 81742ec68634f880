"""Models of events: recurrent language models of music, read, sampled and searched under its rules."""

from recurra.models.events.composing import Composed, Composer
from recurra.models.events.live import SoundingFrame, stream_events
from recurra.models.events.reading import ReadEvents, read_events
from recurra.models.events.sampling import choose_event, sample_events
from recurra.models.events.search import search_events

__all__ = [
    "Composed",
    "Composer",
    "ReadEvents",
    "SoundingFrame",
    "choose_event",
    "read_events",
    "sample_events",
    "search_events",
    "stream_events",
]
