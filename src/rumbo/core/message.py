"""The message ledger: what was asked for as a message, and what has become of it: delivered, opened, clicked. It never emits.

Entries are bound by the id of `action.requested`. Times are those of the interactions, the first one counts, so that the
ledger is the same in every order of arrival. At most 100 a customer, the latest sent.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rumbo.core.instant import Duration, Instant
from rumbo.core.profile import Ledger, opened
from rumbo.core.scope import Scope, Turn

CAP: Final = 100
ID: Final = 16
"""Characters of an action's id that are kept: 64 bits."""
PLACE: Final = {"sent": 2, "delivered": 3, "opened": 4, "clicked": 5}
"""Where an entry keeps the instant of each status: [journey/rule, channel, sent, delivered, opened, clicked], 0 for never."""


class Message(NamedTuple):
    """One message of a rule (`journey/rule`). Instants are 0 for never."""

    rule: str
    channel: str | None
    sent: Instant
    delivered: Instant = 0
    opened: Instant = 0
    clicked: Instant = 0


class Mail:
    """What the rules of a topology ask of the ledger: which lengths of silence matter, by the message's rule."""

    def __init__(self) -> None:
        self._lengths: dict[str, set[Duration]] = {}

    def waits(self, rule: str, length: Duration) -> None:
        """Some condition asks whether a message of this rule is still without an answer after so long."""
        self._lengths.setdefault(rule, set()).add(length)

    def arm(self, turn: Turn, timer: str) -> None:
        """Look at the conditions again when the next such length is over."""
        due, timers = self._next_due(turn.profile.ledger, turn.now), turn.profile.timers
        if due and due < timers.get(timer, due + 1):
            timers[timer] = due

    def _next_due(self, ledger: Ledger | None, now: Instant) -> Instant:
        """When the next such length is over; 0 for never."""
        if ledger is None or not self._lengths:
            return 0
        dues = (entry[2] + length for entry in ledger.messages.values() for length in self._lengths.get(entry[0], ()))
        return min((due for due in dues if due > now), default=0)


def message_timer(journey: str) -> str:
    """The timer on which a journey's conditions about messages are looked at again."""
    return f"message:{journey}"


def send(turn: Turn, action: str, rule: str, channel: str | None) -> None:
    """An action was asked for: a message is on its way."""
    messages = opened(turn.profile).messages
    while len(messages) >= CAP:
        del messages[next(iter(messages))]
        turn.counts["messages_full"] += 1
    messages[action[:ID]] = [rule, channel, turn.now, 0, 0, 0]


def told(turn: Turn, action: str, status: str) -> tuple[bool, Message | None]:
    """Something was said of a message: whether that changed anything, and the message (None: it is not known)."""
    ledger = turn.profile.ledger
    entry = ledger.messages.get(action[:ID]) if ledger is not None else None
    if entry is None or turn.event is None:
        return False, None
    place, at = PLACE[status], turn.event.at
    if entry[place] and entry[place] <= at:
        return False, Message(*entry)
    entry[place] = at
    return True, Message(*entry)


def last_of(scope: Scope, rule: str) -> Message | None:
    """The last message of a rule."""
    ledger = scope.profile.ledger
    if ledger is None:
        return None
    found = [entry for entry in ledger.messages.values() if entry[0] == rule]
    return Message(*found[-1]) if found else None


def status_of(message: Message, status: str) -> Instant:
    """When it came to this; what was clicked was opened, and what was opened was delivered."""
    later = {"sent": message[2:], "delivered": message[3:], "opened": message[4:], "clicked": message[5:]}[status]
    return min((at for at in later if isinstance(at, int) and at), default=0)
