"""Actions that a gate keeps for later: one bounded list and one timer a journey. It keeps and hands back; it decides nothing.

At its instant an action goes through all gates again. Where the customer withdraws a consent, or is put on the suppression
list, what is held for it ends at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rumbo.core.decision import Gate, Leaf
from rumbo.core.gate import Attempt, No
from rumbo.core.instant import Instant, isoformat
from rumbo.core.request import Request, Signer
from rumbo.core.scope import Turn
from rumbo.core.state import Held

CAP: Final = 16
"""Actions of one customer and journey that are held at once; one more is suppressed for good, and counted."""


class Holding:
    """What is held in one journey."""

    def __init__(self, journey: str, requests: Mapping[str, Request]) -> None:
        self.timer, self._requests = f"held:{journey}", requests

    def keep(self, turn: Turn, attempt: Attempt, gate: Gate, release_at: Instant) -> bool:
        """Keep it until then; False where there is no room."""
        holds = turn.state.undertake().holds
        if len(holds) >= CAP:
            turn.counts["held_full"] += 1
            return False
        holds.append(Held(
            attempt.rule, attempt.occurrence, release_at, attempt.expires_at, attempt.channel, attempt.params,
            list(attempt.causes), attempt.held_since or turn.now, gate,
        ))  # fmt: skip
        self._arm(turn)
        return True

    def _arm(self, turn: Turn) -> None:
        timers, due = turn.profile.timers, min((each.release_at for each in turn.state.holds), default=0)
        if due:
            timers[self.timer] = due
        else:
            timers.pop(self.timer, None)

    def due(self, turn: Turn) -> Iterator[tuple[Request, Attempt]]:
        """What has come to its instant, in the order held; it is held no more."""
        tasks = turn.state.undertake()
        due = [each for each in tasks.holds if each.release_at <= turn.now]
        tasks.holds = [each for each in tasks.holds if each.release_at > turn.now]
        self._arm(turn)
        for each in due:
            request = self._requests.get(each.rule)
            if request is None:
                turn.counts["held_unknown"] += 1  # its rule went with an older version
            else:
                yield request, _attempt(each)

    def recheck(self, turn: Turn, signer: Signer) -> None:
        """The customer's word has changed: end what is held without it."""
        kept = []
        for each in turn.state.holds:
            request, attempt = self._requests.get(each.rule), _attempt(each)
            forbidden = request.forbids(attempt, turn) if request is not None else None
            if request is None or forbidden is None:
                kept.append(each)
            else:
                request.suppress(attempt, turn, signer, (*forbidden, False))
        if len(kept) < len(turn.state.holds):
            turn.state.undertake().holds = kept
            self._arm(turn)

    def end(self, turn: Turn, signer: Signer, begun: tuple[str, str], why: str) -> None:
        """End what is held by rules and for occurrences that begin so."""
        rule, origin = begun
        gone = [each for each in turn.state.holds if each.rule.startswith(rule) and each.occurrence.startswith(origin)]
        if not gone:
            return
        turn.state.undertake().holds = [each for each in turn.state.holds if each not in gone]
        for each in gone:
            request = self._requests.get(each.rule)
            if request is not None:
                request.suppress(_attempt(each), turn, signer, ("expired", No(why), False))
        self._arm(turn)


def _attempt(held: Held) -> Attempt:
    leaf = Leaf(f"held by {held.gate}", holds=True, saw={"since": isoformat(held.since), "until": isoformat(held.release_at)})  # fmt: skip
    return Attempt(
        held.rule, held.occurrence, held.expires_at, held.channel, held.params, (leaf,), tuple(held.causes), held.since
    )
