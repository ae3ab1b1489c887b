"""Secrets come from files that nobody else can read. It never logs one, never holds one in a message, never takes one from text.

A file of tokens has one a line, its scope first: `read TOKEN` or `write TOKEN` (which also reads); `#` begins a comment.
"""

from __future__ import annotations

import hmac
import os
import stat
from pathlib import Path
from typing import Final, Literal, NamedTuple

TOKEN_LENGTH: Final = 32
"""Fewest characters of a token: `openssl rand -hex 32` gives 64."""
_OWNED: Final = 0o077
_MOUNTED: Final = 0o037
"""A file of another owner (a secret mounted into a container) may be readable by our group, which is how we read it."""


def read_secret(path: Path) -> str:
    """The text of a secret file. Raises ValueError with the cure where it is missing, empty or open to others."""
    try:
        found = path.stat()
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: write the secret there and `chmod 600` it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    shared = found.st_mode & (_OWNED if found.st_uid == os.geteuid() else _MOUNTED)
    if shared:
        raise ValueError(f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):04o}): `chmod 600 {path}`")
    if not text:
        raise ValueError(f"{path} is empty: write the secret there")
    return text


class Tokens(NamedTuple):
    """Who may ask the HTTP API: tokens by scope. Empty: nobody needs one."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    def scope(self, token: str) -> Literal["read", "write"] | None:
        """The scope of a token, None for one that is not known; in a time that does not tell how much of it is right."""
        given = token.encode()
        reads = [hmac.compare_digest(given, each.encode()) for each in self.read]
        writes = [hmac.compare_digest(given, each.encode()) for each in self.write]
        return "write" if any(writes) else "read" if any(reads) else None


def read_tokens(path: Path) -> Tokens:
    """The tokens of a file. Raises ValueError with the cure; a message names lines, never what is on them."""
    found: dict[str, list[str]] = {"read": [], "write": []}
    for number, line in enumerate(read_secret(path).splitlines(), 1):
        scope, _, token = line.partition("#")[0].strip().partition(" ")
        if not scope:
            continue
        if scope not in found:
            raise ValueError(f"{path}:{number} must begin with `read ` or `write `, then the token")
        if len(token.strip()) < TOKEN_LENGTH:
            raise ValueError(
                f"{path}:{number} holds a token of fewer than {TOKEN_LENGTH} characters: use `openssl rand -hex 32`"
            )
        found[scope].append(token.strip())
    if not any(found.values()):
        raise ValueError(f"{path} holds no token: write `read TOKEN` or `write TOKEN`, one a line")
    return Tokens(tuple(found["read"]), tuple(found["write"]))
