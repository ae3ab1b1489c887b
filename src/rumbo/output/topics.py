"""Where each kind of decision goes."""

from __future__ import annotations

from typing import Final

import msgspec

from rumbo.core.decision import Kind


class OutputTopics(msgspec.Struct, frozen=True):
    """The topics that a topology writes, by what they hold."""

    transitions: str = "rumbo.transitions.v1"
    scores: str = "rumbo.scores.v1"
    actions: str = "rumbo.actions.v1"
    suppressed: str = "rumbo.suppressed.v1"
    corrections: str = "rumbo.corrections.v1"
    progress: str = "rumbo.progress.v1"
    control: str = "rumbo.control.v1"
    events: str = "rumbo.events.v1"
    accounts: str = "rumbo.accounts.v1"

    def of(self, kind: Kind) -> str:
        """The topic of a kind of decision."""
        found: str = getattr(self, _PLACES[kind])
        return found

    @property
    def decisions(self) -> tuple[str, ...]:
        """The topics that decisions of customers go to."""
        return (self.transitions, self.scores, self.actions, self.suppressed, self.corrections)


_PLACES: Final[dict[Kind, str]] = {
    "stage.changed": "transitions",
    "stage.stuck": "transitions",
    "stage.unstable": "transitions",
    "stage.suggested": "transitions",
    "segment.changed": "transitions",
    "flow.changed": "transitions",
    "exposure.recorded": "transitions",
    "event.quarantined": "corrections",
    "score.changed": "scores",
    "action.requested": "actions",
    "action.suppressed": "suppressed",
    "decision.retracted": "corrections",
    "account.stage.changed": "accounts",
    "account.score.changed": "accounts",
}
