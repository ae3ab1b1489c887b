"""What a profile keeps of a trait: a number, a word, or a short list of such; it must stay small. It keeps nothing itself."""

from __future__ import annotations

from typing import Any, Final

LENGTH: Final = 256
ITEMS: Final = 16


def keepable(value: Any) -> bool:
    """Whether a trait of this value may be kept."""
    if isinstance(value, list):
        return len(value) <= ITEMS and all(not isinstance(each, list) and keepable(each) for each in value)
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= LENGTH)
