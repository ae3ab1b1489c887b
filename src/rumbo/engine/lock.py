"""One worker, one state directory: a lock that ends with the process, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from rumbo.engine.store import InUseError, StoreError


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold the folder. Raises StoreError where another worker has it, or where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folder / "lock").open("w")
    except OSError as error:
        raise StoreError(
            f"state directory {folder}: {error.strerror}; set RUMBO__STATE_DIR to a folder that can be written"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InUseError(folder) from None
        yield
