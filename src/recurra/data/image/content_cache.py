"""Arrays cached on disk by the content that they were computed from."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from recurra.files import prepare_folder, write_atomically

__all__ = ["ContentCache"]


class ContentCache:
    """Arrays of one shape and type, by the checksum of what they were computed from.

    A file whose content changed has another checksum, and its array is computed anew. A damaged entry counts as none.

    Args:
        folder: of the files; it is made when the first array is written. What the arrays depend on beside the content,
            such as the network that computed them, has to be part of its name.
        shape: of every array.
        dtype: of every array.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str = "float16") -> None:
        self.folder, self._shape, self._dtype = folder, shape, np.dtype(dtype)

    def __contains__(self, digest: str) -> bool:
        path = self._path(digest)
        return path.is_file() and path.stat().st_size == self._size

    def get(self, digest: str) -> np.ndarray | None:
        """The array of a content; None: it is not cached."""
        with suppress(OSError, ValueError):
            return np.fromfile(self._path(digest), self._dtype).reshape(self._shape)
        return None

    def put(self, digest: str, values: np.ndarray) -> None:
        """Cache an array. Raises RunError: the folder cannot be written."""
        path = self._path(digest)
        if not path.parent.is_dir():
            prepare_folder(path.parent)
        stored = np.ascontiguousarray(values, self._dtype).reshape(self._shape)
        write_atomically(path, stored.tofile)

    @property
    def _size(self) -> int:
        return int(np.prod(self._shape)) * self._dtype.itemsize

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest[2:]}.{self._dtype}"
