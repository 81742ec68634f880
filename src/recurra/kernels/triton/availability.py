"""Whether Triton is there, and how it runs."""

import os
from importlib.util import find_spec

from recurra.errors import MissingExtraError
from recurra.kernels.torch_state import constant

__all__ = ["LARGEST_HEAD", "is_interpreted", "missing_reason"]

# Units of a head, whose weights a program has in registers.
LARGEST_HEAD = 32


@constant
def is_interpreted() -> bool:
    """Whether Triton's interpreter runs its kernels, on tensors of any device and slowly: TRITON_INTERPRET=1."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@constant
def missing_reason() -> str:
    """Why there is no Triton, or "" if it is installed."""
    if find_spec("triton") is not None:
        return ""
    return str(MissingExtraError("the package triton", "triton", "the Triton kernel"))
