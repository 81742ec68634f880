"""Which event would stand in a place if a bar repeated the last one."""

import numpy as np

from recurra.data.music.events import EventVocabulary

__all__ = ["repeated_events"]


def repeated_events(vocabulary: EventVocabulary, tokens: np.ndarray) -> np.ndarray:
    """The token that repeats the last bar in the place of each event (N,); V in the first bar.

    It follows from the events before alone. The events of a bar are cut at its positions. Within a position the k-th
    event repeats the k-th of the same position a bar before, or of the latest one before it. Where that has no more,
    and where a bar begins, the next position of the last bar follows; after its last position, the next bar.

    Args:
        vocabulary: V tokens.
        tokens: of a piece (N,), see `EventVocabulary.encode`.
    """
    bar, first = vocabulary.token("bar"), vocabulary.tokens_of["position"].start
    repeated = np.full(len(tokens), len(vocabulary))
    last: dict[int, list[int]] | None = None  # the events after each position of the bar before
    here: dict[int, list[int]] = {}
    position, before = -1, -1
    for index, token in enumerate(tokens.tolist()):
        if last is not None:
            own = last.get(max((one for one in last if one <= position), default=-1), [])
            done = len(here[position]) if position >= 0 else 0
            if position >= 0 and done < len(own):
                repeated[index] = own[done]
            else:
                following = min((one for one in last if one > position), default=None)
                repeated[index] = bar if following is None else first + following
        if token == bar:
            last = here if before >= 0 else None
            here, position, before = {}, -1, before + 1
        elif vocabulary.kinds[token] == "position":
            position = token - first
            here[position] = []
        elif position >= 0:
            here[position].append(token)
    return repeated
