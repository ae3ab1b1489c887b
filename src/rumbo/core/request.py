"""An action that a rule asks for, compiled: its gates, its parameters, and the output that comes of it: a request or a recorded no.

It decides one attempt; whether a rule fires at all is not its business, nor when a held action is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from rumbo.core import gate as gates
from rumbo.core.channel import chosen
from rumbo.core.condition import Vocabulary
from rumbo.core.decision import Gate, GateAnswer, Leaf
from rumbo.core.definition import Action, Cap, HoldOut, Limits
from rumbo.core.gate import Ask, Asked, Attempt, No, answers, every_answer
from rumbo.core.identity import Identity
from rumbo.core.instant import Duration, Instant, isoformat
from rumbo.core.message import message_timer, send
from rumbo.core.outputs import ActionRequested, ActionSuppressed, ExposureRecorded
from rumbo.core.profile import opened
from rumbo.core.scope import Read, Scope, Turn

PREFERRED: Final = "preferred"
EXPOSURES: Final = 64
"""Experiments of one customer that are remembered."""
Scores = Callable[[Scope], dict[str, float | None]]
_EXPIRED: Final[Asked] = (("expired", gates.expired),)


class Terms(NamedTuple):
    """On what terms a rule may ask."""

    cooldown: Duration | None = None
    mode: Literal["live", "shadow"] = "live"
    limits: Limits = Limits()


class Signer(NamedTuple):
    """Whose rules they are: who signs, the scores that actions quote, and who keeps an action for later (whether there is room)."""

    who: Identity
    scores: Scores
    keep: Callable[[Turn, Attempt, Gate, Instant], bool]


class Wanted(NamedTuple):
    """An action that waits for the others of its instant."""

    request: Request
    attempt: Attempt
    signer: Signer
    again: Callable[[Scope], bool] | None
    """Whether its rule may still act: others of the instant may have been the one time that it may. None: it always may."""


class Request:
    """One action of one rule. `rule` names it in the state, `said` names it in outputs."""

    def __init__(self, rule: str, said: dict[str, str], action: Action, terms: Terms, words: Vocabulary) -> None:
        self.rule, self.action, self.name = rule, action, f"{words.journey}/{rule}"
        self._mail, self._timer = words.mail, message_timer(words.journey)
        self._is_message = bool(words.contact.messages) and action.kind in words.contact.kinds
        self._trigger, self._caps = said["trigger"], words.caps
        self._flow, self._step = said.get("flow", msgspec.UNSET), said.get("step", msgspec.UNSET)
        self._because = f"step {rule}" if "flow" in said else f"trigger {rule}"
        self._requested, self._suppressed = f"action:{rule}", f"suppressed:{rule}:"
        self._choices = {name: (words.expression(choice.by), choice) for name, choice in action.choices.items()}
        self._channel = _channel(action, words)
        self._experiments = _experiments(action, terms, words)
        self.asks, self._standing = _gates(rule, action, terms, words)
        self._passed = answers(self.asks, None, None)
        """The answers when every gate says yes."""
        self._capped = words.contact.purposes.get(action.purpose or "") != "transactional"

    def attempt(self, scope: Scope, leaves: tuple[Leaf, ...]) -> Attempt:
        """The action as it would be asked for now."""
        after = self.action.expires_after
        expires, occurrence = scope.at + after if after is not None else 0, scope.occurrence + scope.mark
        return Attempt(self.rule, occurrence, expires, self._channel(scope), self.params(scope), leaves, scope.causes)

    def delivered(self, turn: Turn, channel: str | None) -> None:
        """A message of this rule has arrived: what caps on deliveries count."""
        if self._caps and self._capped:
            self._caps.write(turn, self.name, self.action, channel, "delivered")

    def params(self, scope: Scope) -> dict[str, Any]:
        """The action's parameters, each choice resolved against the interaction."""
        if not self._choices:
            return self.action.params
        chosen = dict(self.action.params)
        for name, (read, choice) in self._choices.items():
            value = read(scope)
            chosen[name] = choice.cases.get(value, choice.otherwise) if isinstance(value, str) else choice.otherwise
        return chosen

    def answers(self, scope: Scope) -> tuple[GateAnswer, ...]:
        """What every gate would say now, also those behind a no: for explanations, nothing is consumed."""
        return every_answer(self.attempt(scope, ()), self.asks, scope)

    def forbids(self, attempt: Attempt, scope: Scope) -> tuple[Gate, No] | None:
        """The no of a gate that acts at once on what is held: consent, the suppression list."""
        for gate, ask in self._standing:
            no = ask(attempt, scope)
            if no is not None:
                return gate, no
        return None

    def _ask(self, attempt: Attempt, scope: Scope) -> tuple[Gate | None, No | None]:
        """The first gate that says no, and its no. The expiry goes first."""
        if 0 < attempt.expires_at <= scope.now:
            return "expired", gates.expired(attempt, scope)
        for gate, ask in self.asks:
            no = ask(attempt, scope)
            if no is not None:
                return gate, no
        return None, None

    def want(self, attempt: Attempt, turn: Turn, signer: Signer, again: Callable[[Scope], bool] | None = None) -> None:
        """Decide it now, or, where something is capped, together with the others of this instant (`settle`)."""
        if turn.wanted is None:
            self.decide(attempt, turn, signer)
        else:
            turn.wanted.append(Wanted(self, attempt, signer, again))

    def decide(self, attempt: Attempt, turn: Turn, signer: Signer) -> None:
        """Through the gates: the request, or the recorded no."""
        gate, no = self._ask(attempt, turn)
        if self._experiments and gate not in {"expired", "consent", "suppression_list"}:
            self._expose(turn, signer.who)
        if gate is None or no is None:
            self._emit(attempt, turn, signer)
            return
        if gate == "shadow":
            turn.state.fired[self.rule] = turn.now
        held = no.hold and signer.keep(turn, attempt, gate, no.release_at)
        self.suppress(attempt, turn, signer, (gate, no, held))

    def _emit(self, attempt: Attempt, turn: Turn, signer: Signer) -> None:
        turn.state.fired[self.rule] = turn.now
        if self._caps and self._capped:
            for log in self._caps.write(turn, self.name, self.action, attempt.channel):
                turn.took.setdefault(log, []).append(self.rule)
        data = self._data(attempt, turn, signer, self._passed)
        occurrence = attempt.occurrence
        decision = signer.who.decide(turn, "action.requested", self._requested, data, occurrence)
        turn.out.append(decision)
        if self._is_message:
            send(turn, decision.id, self.name, attempt.channel)
            self._mail.arm(turn, self._timer)

    def quarantine(self, attempt: Attempt, turn: Turn, signer: Signer, no: No) -> None:
        """Record that the interaction itself is put aside. Released, it asks anew, so this no has an id of its own."""
        data = ActionSuppressed(
            **msgspec.structs.asdict(
                self._data(attempt, turn, signer, (GateAnswer("quarantine", passed=False, detail=no.detail),))
            ),
            gate="quarantine",
            detail=no.detail,
            would_release_at=_time(no.release_at),
            held=True,
        )
        decision = signer.who.decide(turn, "action.suppressed", f"quarantined:{self.rule}", data, attempt.occurrence)
        turn.out.append(decision)

    def suppress(self, attempt: Attempt, turn: Turn, signer: Signer, why: tuple[Gate, No, bool]) -> None:
        """Record the no of a gate, and whether the action is kept for later."""
        gate, no, held = why
        said = answers(_EXPIRED if gate == "expired" else self.asks, gate, no)
        data = ActionSuppressed(
            **msgspec.structs.asdict(self._data(attempt, turn, signer, said)),
            gate=no.gate or gate,
            detail=no.detail,
            would_release_at=_time(no.release_at),
            held=True if held else msgspec.UNSET,
        )
        again = f"|{turn.occurrence}" if attempt.held_since else ""  # the first no has the id of the occurrence itself
        occurrence = attempt.occurrence + again
        turn.out.append(signer.who.decide(turn, "action.suppressed", self._suppressed + data.gate, data, occurrence))

    def _data(self, attempt: Attempt, turn: Turn, signer: Signer, said: tuple[GateAnswer, ...]) -> ActionRequested:
        action, who, causes, expires = self.action, signer.who, attempt.causes, attempt.expires_at
        if attempt.held_since:
            causes = (*causes, *turn.causes)
        return ActionRequested(
            customer=turn.profile.customer,
            journey=who.journey,
            version=who.version,
            because=who.because(turn, self._because, attempt.leaves, said, causes),
            trigger=self._trigger,
            kind=action.kind,
            channel=attempt.channel,
            purpose=action.purpose,
            flow=self._flow,
            step=self._step,
            params=attempt.params,
            priority=action.priority,
            expires_at=isoformat(expires) if expires else None,
            stage=turn.state.stage or None,
            scores=signer.scores(turn),
        )

    def _expose(self, turn: Turn, who: Identity) -> None:
        for experiment in self._experiments:
            expose(turn, who, experiment.experiment, gates.variant(experiment, turn.profile.customer))


def settle(turn: Turn) -> None:
    """Decide the actions of one instant, the most urgent first: where a cap is short, the others get `priority` for a gate."""
    wanted, turn.wanted = turn.wanted or [], []
    turn.took.clear()
    for request, attempt, signer, again in sorted(wanted, key=_urgency):
        turn.state = turn.profile.journeys[signer.who.journey]
        if again is None or again(turn):
            request.decide(attempt, turn, signer)


def _urgency(wanted: Wanted) -> int:
    return wanted.request.action.priority


def expose(turn: Turn, who: Identity, experiment: str, variant: str) -> None:
    """Record the customer's variant, once for each experiment and variant."""
    known = opened(turn.profile).exposures
    if known.get(experiment) == variant:
        return
    known.pop(experiment, None)
    if len(known) >= EXPOSURES:
        del known[next(iter(known))]
        turn.counts["exposures_full"] += 1
    known[experiment] = variant
    because = who.because(turn, f"experiment {experiment}")
    data = ExposureRecorded(**who.words(turn), because=because, experiment=experiment, variant=variant)
    turn.out.append(who.decide(turn, "exposure.recorded", f"exposure:{experiment}:{variant}", data))


def _time(at: Instant) -> str | None:
    return isoformat(at) if at else None


def _experiments(action: Action, terms: Terms, words: Vocabulary) -> tuple[HoldOut, ...]:
    """The hold-outs that this action is subject to: the topology's for marketing, then its own."""
    marketing = words.contact.purposes.get(action.purpose or "") == "marketing"
    every = words.contact.hold_out if marketing else None
    return tuple(each for each in (every, terms.limits.hold_out) if each is not None)


def _gates(rule: str, action: Action, terms: Terms, words: Vocabulary) -> tuple[Asked, Asked]:
    """The gates that can ever say no to this action, in their order, and those among them that act at once on what is held.

    The expiry is asked before them, and named only where it says no.
    """
    contact, limits = words.contact, terms.limits
    sort = contact.purposes.get(action.purpose or "")
    asked: list[tuple[Gate, Ask]] = []
    if sort is not None and sort != "transactional":
        asked.append(("consent", gates.consent(sort, action.purpose or "")))
    if contact.listed or contact.purposes:  # a control record may list too
        asked.append(("suppression_list", gates.disqualified if sort == "marketing" else gates.suppression_list))
    standing = tuple(asked)
    asked += [("holdout", gates.hold_out(each)) for each in _experiments(action, terms, words)]
    if terms.cooldown is not None:
        asked.append(("cooldown", gates.cooldown(terms.cooldown)))
    if sort != "transactional":
        if limits.quiet_hours is not None:
            asked.append(("quiet_hours", gates.quiet_hours(limits.quiet_hours, words.zone(limits.quiet_hours.zone))))
        capped = (*limits.caps, *(each for each in contact.caps if _meant(each, action)))
        asked += [("cap", _cap(each, rule, action, words)) for each in capped]
    if terms.mode == "shadow":
        asked.append(("shadow", gates.shadow))
    return tuple(asked), standing


def _meant(cap: Cap, action: Action) -> bool:
    """Whether the topology's cap is for actions like this; which channel a customer prefers is seen when it is asked."""
    return (
        cap.kind in {None, action.kind}
        and cap.purpose in {None, action.purpose}
        and (cap.channel in {None, action.channel} or action.channel == PREFERRED)
    )


def _cap(cap: Cap, rule: str, action: Action, words: Vocabulary) -> Ask:
    preferred = words.contact.preferred
    channels = [action.channel]
    if action.channel == PREFERRED and preferred is not None:
        channels = [*preferred.channels, preferred.otherwise]
    logs = {
        each: words.caps.count(cap, f"{words.journey}/{rule}", action, each)
        for each in channels
        if cap.channel in {None, each}
    }
    return gates.cap(cap, logs, words.zone(None))


def _channel(action: Action, words: Vocabulary) -> Callable[[Scope], str | None]:
    """The channel: as written, or the one that the customer prefers where the topology says what that means."""
    fixed, preferred = action.channel, words.contact.preferred
    if fixed != PREFERRED or preferred is None:
        return lambda _scope: fixed
    read: Read = words.expression(f"traits.{preferred.trait}")
    return lambda scope: chosen(preferred, read(scope))
