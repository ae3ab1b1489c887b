"""An action that a rule asks for, compiled: its gates, its parameters, and the output that comes of it: a request or a recorded no.

It decides one attempt; whether a rule fires at all is not its business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from rumbo.core.condition import Vocabulary
from rumbo.core.decision import Cause, Decision, Gate, GateAnswer, Leaf
from rumbo.core.definition import Action, Contact
from rumbo.core.gate import Ask, Attempt, No, answers, contact_gates, cooldown, every_answer, expired, shadow
from rumbo.core.identity import Identity
from rumbo.core.instant import Duration, Instant, isoformat
from rumbo.core.outputs import ActionRequested, ActionSuppressed
from rumbo.core.scope import Read, Scope

PREFERRED = "preferred"
Scores = Callable[[Scope], dict[str, float | None]]


class Terms(NamedTuple):
    """On what terms a rule may ask."""

    cooldown: Duration | None = None
    mode: Literal["live", "shadow"] = "live"


class Request:
    """One action of one rule. `rule` names it in the state, `said` names it in outputs."""

    def __init__(self, rule: str, said: dict[str, str], action: Action, terms: Terms, words: Vocabulary) -> None:
        self.rule, self.said, self.action, self.terms = rule, said, action, terms
        self._because, self._requested, self._suppressed = f"trigger {rule}", f"action:{rule}", f"suppressed:{rule}"
        self._choices = {name: (words.expression(choice.by), choice) for name, choice in action.choices.items()}
        self.channel = _channel(action, words)
        self.asks = _gates(terms, action, words.contact)
        self._passed = answers(self.asks, None, None)
        """The answers when every gate says yes."""

    def attempt(self, scope: Scope, leaves: tuple[Leaf, ...], causes: tuple[Cause, ...]) -> Attempt:
        """The action as it would be asked for now."""
        after = self.action.expires_after
        expires = scope.at + after if after is not None else 0
        return Attempt(self.rule, scope.occurrence, expires, self.channel(scope), self.params(scope), leaves, causes)

    def params(self, scope: Scope) -> dict[str, Any]:
        """The action's parameters, each choice resolved against the interaction."""
        if not self._choices:
            return self.action.params
        chosen = dict(self.action.params)
        for name, (read, choice) in self._choices.items():
            value = read(scope)
            chosen[name] = choice.cases.get(value, choice.otherwise) if isinstance(value, str) else choice.otherwise
        return chosen

    def ask(self, attempt: Attempt, scope: Scope) -> tuple[Gate | None, No | None]:
        """The first gate that says no, and its no. The expiry goes first."""
        no = expired(attempt, scope)
        if no is not None:
            return "expired", no
        for gate, ask in self.asks:
            no = ask(attempt, scope)
            if no is not None:
                return gate, no
        return None, None

    def answers(self, scope: Scope) -> tuple[GateAnswer, ...]:
        """What every gate would say now, also those behind a no: for explanations."""
        return every_answer(self.attempt(scope, (), ()), self.asks, scope)

    def decide(self, attempt: Attempt, scope: Scope, who: Identity, scores: Scores) -> Decision:
        """Through the gates: the request, or the recorded no."""
        gate, no = self.ask(attempt, scope)
        if gate is None or gate == "shadow":
            scope.state.fired[self.rule] = scope.now
        said = (
            self._passed
            if no is None
            else answers((("expired", expired),) if gate == "expired" else self.asks, gate, no)
        )
        action = self.action
        data: dict[str, Any] = {
            "because": who.because(scope, self._because, attempt.leaves, said),
            **self.said,
            "kind": action.kind,
            "channel": attempt.channel,
            "purpose": action.purpose,
            "params": attempt.params,
            "priority": action.priority,
            "expires_at": _time(attempt.expires_at),
            "stage": scope.state.stage or None,
            "scores": scores(scope),
            **who.words(scope),
        }
        if gate is None or no is None:
            return who.decide(scope, "action.requested", self._requested, ActionRequested(**data))
        held = ActionSuppressed(**data, gate=gate, detail=no.detail, would_release_at=_time(no.release_at))
        return who.decide(scope, "action.suppressed", self._suppressed, held)


def _time(at: Instant) -> str | None:
    return isoformat(at) if at else None


def _gates(terms: Terms, action: Action, contact: Contact) -> tuple[tuple[Gate, Ask], ...]:
    """The gates that can ever say no to this action, in their order; the expiry is asked before them, and named where it says no."""
    asked: list[tuple[Gate, Ask]] = [*contact_gates(contact, action.purpose)]
    if terms.cooldown is not None:
        asked.append(("cooldown", cooldown(terms.cooldown)))
    if terms.mode == "shadow":
        asked.append(("shadow", shadow))
    return tuple(asked)


def _channel(action: Action, words: Vocabulary) -> Callable[[Scope], str | None]:
    """The channel: as written, or the one that the customer prefers where the topology says what that means."""
    fixed, preferred = action.channel, words.contact.preferred
    if fixed != PREFERRED or preferred is None:
        return lambda _scope: fixed
    read: Read = words.expression(f"traits.{preferred.trait}")
    otherwise, known = preferred.otherwise, frozenset(preferred.channels)

    def choose(scope: Scope) -> str | None:
        found = read(scope)
        return found if isinstance(found, str) and (not known or found in known) else otherwise

    return choose
