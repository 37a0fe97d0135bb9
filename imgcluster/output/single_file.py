"""One file that the user named: a table, a plot, a contact sheet."""

from __future__ import annotations

from imgcluster.errors import ImgclusterError


def write_file(path: str, data: bytes) -> None:
    """Write a file in place of what is there.

    Raises
    ------
    ImgclusterError
        When it cannot be written, with the reason.
    """
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise ImgclusterError(f"cannot write {path}: {error.strerror}; name another file") from error
