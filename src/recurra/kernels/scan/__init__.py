"""The scan: cells that are affine in their state, unit by unit, parallel in time."""

from recurra.kernels.scan.sequence import run

__all__ = ["run"]
