"""Which account a customer belongs to, and what that account is told of them. It decides nothing; of the account it knows only the id.

The account is learned as traits are: the latest by event time, never an anonymous visitor's over a known one's. Whatever steps the
customer is followed from outside: once a step (or, where late events are put in their place, a fold) is done, what counts now is compared
with what the account was told last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from rumbo.core.account import ContactChange
from rumbo.core.authority import Order
from rumbo.core.consent import Consent
from rumbo.core.contact import Listed
from rumbo.core.decision import Decision
from rumbo.core.definition import Accounts
from rumbo.core.expression import is_unknown
from rumbo.core.instant import Duration, Instant, isoformat, parse_instant
from rumbo.core.interaction import Interaction, folded
from rumbo.core.outputs import ScoreChanged, StageChanged
from rumbo.core.profile import Member, Profile
from rumbo.core.scope import Read, Turn
from rumbo.core.tracker import passes
from rumbo.core.trait import LENGTH

TRAIT: Final = "account.id"
"""As what the customer's account is kept among the traits."""
_NOBODY: Final = Member()


class Belonging:
    """Learns the customers' account."""

    def __init__(self, rules: Accounts, read: Callable[[str], Read]) -> None:
        self._account = read(rules.account)
        self._leave = rules.leave
        self._where = read(rules.leave.where) if rules.leave is not None and rules.leave.where is not None else None

    def mentioned(self) -> set[str]:
        """The event names that are listened to by name."""
        return set(self._leave.names) if self._leave is not None else set()

    def hear(self, turn: Turn) -> None:
        """Learn from one interaction."""
        event = turn.event
        if event is None:
            return
        found = self._account(turn)
        leaves = self._leave is not None and passes(self._leave, self._where, event.key, turn)
        if is_unknown(found) and not leaves:
            return
        account = None if is_unknown(found) else _name(found)
        if account is None and not leaves:
            turn.counts["account_unreadable"] += 1
            return
        known = turn.profile.traits.get(TRAIT)
        if known is not None and (not event.anonymous, event.at) < (not known[2], known[1]):
            return
        if leaves and account is not None and known is not None and known[0] != account:
            return  # another one is left
        turn.profile.traits[TRAIT] = [None if leaves else account, event.at, event.anonymous]


def _name(found: Any) -> str | None:
    """An account's id: text, or a whole number."""
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    text = found.strip() if isinstance(found, str) else ""
    return text if 0 < len(text) <= LENGTH else None


class Steps(Protocol):
    """What steps a customer: a program, or what puts late events in their place."""

    def advance(self, profile: Profile, event: Interaction, /) -> list[Decision]:
        """Step one interaction."""

    def instruct(
        self, profile: Profile, said: Interaction, journey: str, order: Order | Consent | Listed, /
    ) -> list[Decision]:
        """Step what somebody said of the customer."""

    def fire(self, profile: Profile, clock: Instant, /) -> list[Decision]:
        """Fire the timers due until then."""

    def reads(self, figures: dict[str, Duration], /) -> None:
        """Which frozen figures count."""


class Telling:
    """Steps as others do, and collects what accounts are to be told."""

    def __init__(self, rules: Accounts, steps: Steps) -> None:
        self._rules, self._steps = rules, steps
        self._scores = frozenset(each.score for each in rules.scores)
        self._roles = frozenset(map(folded, rules.roles))
        self._changes: list[ContactChange] = []
        self.reads = steps.reads

    def take(self) -> list[ContactChange]:
        """What accounts are to be told since this was last asked, in the order in which it happened to each customer."""
        found, self._changes = self._changes, []
        return found

    def advance(self, profile: Profile, event: Interaction) -> list[Decision]:
        """Step one interaction of this customer."""
        told, before = profile.member, profile.clock
        made = self._steps.advance(profile, event)
        return self._follow(profile, told, before, made, event)

    def instruct(
        self, profile: Profile, said: Interaction, journey: str, order: Order | Consent | Listed
    ) -> list[Decision]:
        """Step what somebody said of this customer."""
        told, before = profile.member, profile.clock
        made = self._steps.instruct(profile, said, journey, order)
        return self._follow(profile, told, before, made, said)

    def fire(self, profile: Profile, clock: Instant) -> list[Decision]:
        """Fire this customer's timers due until `clock`."""
        told, before = profile.member, profile.clock
        made = self._steps.fire(profile, clock)
        return self._follow(profile, told, before, made, None)

    def _follow(
        self, profile: Profile, told: Member | None, before: Instant, made: list[Decision], event: Interaction | None
    ) -> list[Decision]:
        """Tell what the timers changed, each at its instant, then what the interaction did. A fold has put an older word in the place of the last one.

        What a fold has found from before the clock as it was stands before what was told last, and would not be the last word.
        """
        profile.member = told
        if told is not None and told.account and made:
            now = told
            for at, of_instant in self._by_timer(made):
                now = self._with(now, of_instant)
                if at >= before:
                    self._say(profile, now, at, None)
        self._say(profile, self._now(profile), profile.clock, event)
        return made

    def _by_timer(self, made: list[Decision]) -> Iterator[tuple[Instant, list[Decision]]]:
        """What timers decided of the stage and the scores, by the customer's clock; nothing where something was withdrawn: then only what is now is known."""
        if any(each.kind == "decision.retracted" for each in made):
            return
        found: dict[Instant, list[Decision]] = {}
        for each in made:
            if each.journey == self._rules.journey and each.data.because.due is not None and self._counts(each):
                found.setdefault(parse_instant(each.data.because.clock), []).append(each)
        yield from found.items()

    def _counts(self, decision: Decision) -> bool:
        data = decision.data
        return type(data) is StageChanged or (type(data) is ScoreChanged and data.score in self._scores)

    @staticmethod
    def _with(told: Member, decisions: Iterable[Decision]) -> Member:
        """What was told, with what these decisions say."""
        stage, scores = told.stage, dict(told.scores)
        for data in (each.data for each in decisions):
            if type(data) is StageChanged:
                stage = data.to
            elif data.value:
                scores[data.score] = data.value
            else:
                scores.pop(data.score, None)
        return Member(told.number, told.account, told.role, stage, scores)

    def _now(self, profile: Profile) -> Member:
        """What counts of the customer now."""
        number = profile.member.number if profile.member is not None else 0
        known = profile.traits.get(TRAIT)
        if known is None or known[0] is None:
            return Member(number)
        said = profile.traits.get(self._rules.role)
        role, counts = self._role(said[0] if said is not None else None)
        if not counts:
            return Member(number)
        state = profile.journeys.get(self._rules.journey)
        scores: dict[str, float] = {}
        if state is not None:
            for name in self._scores:
                score = state.scores.get(name)
                if score is not None and not score.out and (value := round(score.emitted, 4)):
                    scores[name] = value
        return Member(number, known[0], role, state.stage if state is not None else "", scores)

    def _role(self, value: Any) -> tuple[str, bool]:
        """The contact's role, the first one that counts where the trait is a list, and whether it counts."""
        roles = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        found = next((each for each in roles if folded(each) in self._roles), None)
        if found is not None:
            return found, True
        return (roles[0] if roles else ""), not self._roles

    def _say(self, profile: Profile, now: Member, at: Instant, event: Interaction | None) -> None:
        """Tell the accounts: the one that the customer counts in no more, then the one that they count in."""
        told = profile.member or _NOBODY
        if now == told:
            return
        occurrence, cause = f"due {isoformat(at)}", None
        if event is not None:
            cause = event.id, event.name, isoformat(event.at), event.topic, event.partition, event.offset
            occurrence = event.id
        if told.account and told.account != now.account:
            now.number += 1
            self._changes.append(
                ContactChange(told.account, profile.customer, now.number, at, True, told.role, told.stage, {}, occurrence, cause)
            )  # fmt: skip
        if now.account:
            now.number += 1
            self._changes.append(
                ContactChange(now.account, profile.customer, now.number, at, False, now.role, now.stage, now.scores, occurrence, cause)
            )  # fmt: skip
        profile.member = now
