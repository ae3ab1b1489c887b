"""Whose decision it is: ids that are a function of the input, and the words that every output has. It never decides anything."""

from __future__ import annotations

from hashlib import sha256

from rumbo.core.decision import Because, Cause, Decision, GateAnswer, Kind, Leaf
from rumbo.core.definition import Journey
from rumbo.core.instant import isoformat
from rumbo.core.outputs import Data
from rumbo.core.scope import Scope


class Identity:
    """One journey of one topology, as it signs."""

    def __init__(self, topology: str, journey: Journey) -> None:
        self.topology, self.journey, self.version = topology, journey.id, journey.version
        self._begin = "".join(f"{len(part)}:{part}|" for part in (topology, journey.id, journey.major))

    def decide(self, scope: Scope, kind: Kind, trigger: str, data: Data, occurrence: str = "") -> Decision:
        """Sign what `trigger` decided on this input: the id hangs on the rule, the customer and the occurrence, nothing else.

        `trigger` names the rule and what it says to whoever acts upon it (a band, a stage, a gate): what says something else has another id.
        The id is `decision.decision_id`'s, with what never changes written once. `occurrence` where it is not this input's.
        """
        customer = scope.profile.customer
        if not occurrence:
            occurrence = (scope.event.id if scope.event is not None else scope.occurrence) + scope.mark
        text = f"{self._begin}{len(customer)}:{customer}|{len(trigger)}:{trigger}|{len(occurrence)}:{occurrence}|"
        return Decision(sha256(text.encode()).hexdigest(), kind, customer, scope.at, self.journey, data)

    def words(self, scope: Scope) -> dict[str, str]:
        """What every output says of itself."""
        return {"customer": scope.profile.customer, "journey": self.journey, "version": self.version}

    def because(
        self,
        scope: Scope,
        rule: str,
        conditions: tuple[Leaf, ...] = (),
        gates: tuple[GateAnswer, ...] = (),
        causes: tuple[Cause, ...] | None = None,
    ) -> Because:
        """Why: the rule, what was seen, the interactions (this input's, where none are given) or the due instant, the customer's clock."""
        due = isoformat(scope.at) if scope.event is None else None
        return Because(rule, due, scope.causes if causes is None else causes, conditions, gates, isoformat(scope.now))
