"""Whose decision it is: ids that are a function of the input, and the words that every output has. It never decides anything."""

from __future__ import annotations

from rumbo.core.decision import Because, Decision, GateAnswer, Kind, Leaf, decision_id
from rumbo.core.definition import Journey
from rumbo.core.instant import isoformat
from rumbo.core.outputs import Data
from rumbo.core.scope import Scope


class Identity:
    """One journey of one topology, as it signs."""

    def __init__(self, topology: str, journey: Journey) -> None:
        self.topology, self.journey, self.version, self._major = topology, journey.id, journey.version, journey.major

    def decide(self, scope: Scope, kind: Kind, trigger: str, data: Data) -> Decision:
        """Sign what `trigger` decided on this input: the id hangs on the rule, the customer and the occurrence, nothing else."""
        customer = scope.profile.customer
        key = decision_id(self.topology, self.journey, self._major, customer, trigger, scope.occurrence)
        return Decision(key, kind, customer, scope.at, self.journey, data)

    def words(self, scope: Scope) -> dict[str, str]:
        """What every output says of itself."""
        return {"customer": scope.profile.customer, "journey": self.journey, "version": self.version}

    def because(
        self, scope: Scope, rule: str, conditions: tuple[Leaf, ...] = (), gates: tuple[GateAnswer, ...] = ()
    ) -> Because:
        """Why: the rule, what was seen, the interaction or the due instant, the customer's clock."""
        return Because(
            rule=rule,
            due=isoformat(scope.at) if scope.event is None else None,
            events=scope.causes,
            conditions=conditions,
            gates=gates,
            clock=isoformat(scope.now),
        )
