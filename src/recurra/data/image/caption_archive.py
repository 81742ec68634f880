"""A ZIP archive with images and the file that lists them."""

import zipfile
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from recurra.errors import DataError

__all__ = ["CaptionArchive"]

_LISTS = (".jsonl", ".json", ".csv", ".tsv")
_FOLDERS = ("", "images")
_LARGEST = 1 << 30  # bytes, unpacked


class CaptionArchive:
    """Reads what an archive holds into memory: one file that lists images, and these beside it or in `images` there.

    Args:
        path: of the archive.

    Attributes:
        listed: the path of the file that lists the images, as messages have it.

    Raises:
        DataError: the archive is damaged, larger than a gibibyte when unpacked, or lists no images or several times.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: not a ZIP archive, or a damaged one ({error}).") from None
        size = sum(member.file_size for member in self._archive.infolist())
        if size > _LARGEST:
            raise DataError(f"{path}: {size / 2**30:.1f} GiB unpacked, more than 1 GiB is not read. Unpack it first.")
        names = [name for name in self._archive.namelist() if PurePosixPath(name).suffix.lower() in _LISTS]
        if len(names) != 1:
            got = ", ".join(names[:4]) or "none"
            raise DataError(f"{path}: expected one file that lists its images ({', '.join(_LISTS)}), got {got}.")
        self._list = names[0]
        self.listed = path / self._list
        self._names = set(self._archive.namelist())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    def text(self) -> str:
        """The file that lists the images. Raises DataError."""
        try:
            return self._read(self._list).decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise DataError(f"{self.listed}: not UTF-8 (byte {error.start}).") from None

    def image(self, name: str) -> Path | bytes:
        """The content of an image, or of one that is missing a path at which there is none. Raises DataError."""
        folder = PurePosixPath(self._list).parent
        members = [str(folder / one / name) for one in _FOLDERS]
        member = next((one for one in members if one in self._names), None)
        return self._path / members[0] if member is None else self._read(member)

    def _read(self, member: str) -> bytes:
        try:
            return self._archive.read(member)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{self._path / member}: cannot be read from the archive ({error}).") from None
