"""When rejects are no longer a producer's slip: a bad deploy must stop a worker, not empty a topic into the dead letters."""

from __future__ import annotations

from collections import deque
from typing import Final

from rumbo.errors import InternalError
from rumbo.intake import Reject

REJECTS_WATCHED: Final = 1_000
"""The last so many records of a partition are looked at; before there are so many nothing is said."""


class TooManyRejectsError(InternalError):
    """More of the last records were rejected than the topology allows: a bad deploy, not bad records."""


def check_rejects(recent: deque[bool], limit: float, place: str, last: Reject) -> None:
    """Raise TooManyRejectsError when more than `limit` (a share) of the recent records were rejected (True)."""
    if len(recent) == REJECTS_WATCHED and sum(recent) > limit * REJECTS_WATCHED:
        raise TooManyRejectsError(
            f"{place}: {sum(recent)} of the last {REJECTS_WATCHED} records were rejected (last reason: {last.reason}; the dead letters have them all); "
            f"a limit of {limit:.0%} stops the worker before the topic is emptied into the dead letters"
        )
