"""Reads a file that somebody named."""

from __future__ import annotations

import errno
from pathlib import Path


def text_of(file: Path) -> str:
    """Raises OSError with the file's name and a sentence, also where it is no text."""
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, f"byte {error.start} is no UTF-8: save it as UTF-8 text", str(file)) from None
