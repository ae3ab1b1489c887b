"""Interactions that Rumbo derives from others: a session began or ended, a page was left, friction was met. It decides nothing.

A signal is stepped like an interaction, right after the input that gave rise to it and at its instant, by rules that name it. Its id
is made of its name and of that input's occurrence, so that decisions on it have ids that are a function of the input.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rumbo.core.interaction import Interaction, folded
from rumbo.core.scope import Turn

SESSION_STARTED: Final = "Session Started"
SESSION_ENDED: Final = "Session Ended"
PAGE_LEFT: Final = "Page Left"
FRICTION: Final = "Friction Detected"
FIELDS: Final[dict[str, dict[str, str]]] = {
    SESSION_STARTED: {"page": "string"},
    PAGE_LEFT: {"page": "string", "seconds": "number"},
    SESSION_ENDED: {"seconds": "number", "events": "number", "pages": "number", "page": "string"},
    FRICTION: {"kind": "string", "place": "string", "weight": "number", "count": "number"},
}
"""Each signal, and what it says under `properties`, with the types."""
KEYS: Final = frozenset(map(folded, FIELDS))
FORMAT: Final = "signal"
_encode: Final = msgspec.json.Encoder().encode


def signal(turn: Turn, name: str, said: dict[str, Any], mark: str = "") -> Interaction:
    """What is derived from the input of this turn; `mark` tells apart several of one name."""
    event = turn.event
    place = (event.topic, event.partition, event.offset) if event is not None else ("-", -1, -1)
    context = event.context_raw if event is not None else b"{}"
    return Interaction(
        turn.profile.customer, name, folded(name), f"{name}|{turn.occurrence}{mark}", turn.at, *place,
        _encode(said), context, anonymous=event.anonymous if event is not None else False, format=FORMAT,
    )  # fmt: skip
