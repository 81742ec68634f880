"""XML files."""

from pathlib import Path
from xml.etree import ElementTree

from recurra.data.files.text_file import read_text
from recurra.errors import DataError

__all__ = ["local_name", "read_xml"]


def read_xml(path: str | Path) -> ElementTree.Element:
    """The root of an XML file in UTF-8, plain or gzipped.

    Raises:
        DataError: the file is missing, empty, binary or not well-formed, or defines entities.
    """
    text = read_text(path)
    # A few entities that stand for others take all memory; drawings need none.
    if "<!ENTITY" in text:
        raise DataError(f"{path}: defines entities, which are not read; remove them.")
    try:
        return ElementTree.fromstring(text.encode())
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: not well-formed XML ({error}).") from None


def local_name(element: ElementTree.Element) -> str:
    """The name of an element without its namespace; empty for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
