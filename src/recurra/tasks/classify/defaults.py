"""Options whose defaults look at the data: what None stands for."""

from collections.abc import Mapping
from typing import Any

from recurra.errors import ParameterError
from recurra.tasks.classify.encoding import SeriesEncoding
from recurra.tasks.classify.learned import ClassifierLearned

__all__ = ["resolved"]

_MANY = 1000  # series, of which a network sees enough
_LONGEST = 64  # steps that the recurrent layers read of the longest series of training


def resolved(options: Mapping[str, Any], learned: ClassifierLearned) -> dict[str, Any]:
    """The options of a classifier, each None that the data decide replaced by a value.

    Args:
        options: by name.
        learned: from the training data.

    Raises:
        ParameterError: a stride has no convolution.
    """
    encoding, found = learned.encoding, dict(options)
    defaults = {"hidden_size": 128, "filters": 0, "stride": 1, "members": 1, "dropout": 0.5}
    if isinstance(encoding, SeriesEncoding):
        filters = 32 if options["filters"] is None else options["filters"]
        stride = -(-encoding.longest // _LONGEST) if filters else 1
        members = 4 if encoding.count < _MANY else 1
        defaults = {"hidden_size": 32, "filters": filters, "stride": stride, "members": members, "dropout": 0.4}
    found |= {name: value for name, value in defaults.items() if found[name] is None}
    if found["stride"] > 1 and not found["filters"]:
        raise ParameterError("stride", "1 without a convolution", found["stride"], "Give it filters (--filters 64).")
    return found
