"""Profiles as people and programs read them: what is stored, with scores read at an instant. It never changes a profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rumbo.core.account import Account
from rumbo.core.answer import answers_of, class_of
from rumbo.core.channel import Preference
from rumbo.core.consent import Status, read
from rumbo.core.decision import Gate
from rumbo.core.definition import SurveyKind
from rumbo.core.instant import SECOND, Instant, isoformat
from rumbo.core.message import Message
from rumbo.core.outputs import Contributor
from rumbo.core.profile import Ledger, Profile, Visits
from rumbo.core.program import Program
from rumbo.core.score import ScoreMachine
from rumbo.core.state import JourneyState
from rumbo.core.visit import by_page

_SHOWN: Final = frozenset({"customer", "clock", "first_seen", "events", "ring", "counters", "last", "windows", "traits", "journeys", "timers", "ledger", "visits", "answers", "trouble", "member", "older"})  # fmt: skip
_JOURNEY_SHOWN: Final = frozenset({"stage", "high_water", "entered_at", "entry", "history", "scores", "fired", "memory", "held", "since", "told", "segments", "course", "moved", "base", "lock", "flips", "unstable", "tasks", "holds", "flows", "flown"})  # fmt: skip


class Visit(msgspec.Struct, frozen=True):
    """A stage, and when it was entered."""

    stage: str
    at: str


class ScoreView(msgspec.Struct, frozen=True):
    """A score as it stands, its band, and the rules that make it, the largest first."""

    value: float
    band: str | None
    contributors: tuple[Contributor, ...] = ()


class HeldView(msgspec.Struct, frozen=True):
    """An action that waits: its rule, the gate that keeps it, since when and until when."""

    rule: str
    gate: Gate
    since: str
    until: str


class FlowView(msgspec.Struct, frozen=True):
    """An instance of a flow: its key, the step that it waits at, and until when by time alone."""

    flow: str
    key: str | None
    entered_at: str
    step: str
    since: str
    until: str | None


class JourneyView(msgspec.Struct, frozen=True):
    """Where a customer is in one journey. Times are RFC 3339."""

    stage: str
    high_water: str
    entered_at: str
    history: tuple[Visit, ...] = ()
    """The last stages entered, the latest last."""
    scores: dict[str, ScoreView] = {}
    segments: dict[str, str] = {}
    """Segments that the customer is in -> since when."""
    last_actions: dict[str, str] = {}
    """Trigger -> when it was last emitted."""
    set_since: str | None = None
    """Since when somebody (a CRM, a person) has set the stage; null where the conditions have."""
    set_until: str | None = None
    held_until: str | None = None
    """Until when the stage is held because it went forth and back too often."""
    held_actions: tuple[HeldView, ...] = ()
    """Actions that a gate keeps for later, the next one first."""
    flows: tuple[FlowView, ...] = ()
    """Instances of flows that the customer is in, in the order begun."""
    waiting: dict[str, str] = {}
    """Trigger that waits for an absence -> since when."""
    content: dict[str, Any] = {}
    """What the definition has for those who are in the stage."""
    more: dict[str, Any] = {}
    """Whatever else is stored of this journey."""


class ConsentView(msgspec.Struct, frozen=True):
    """A word of the customer on a purpose by a channel (`*`: every one)."""

    purpose: str
    channel: str
    status: Status
    at: str
    source: str = ""
    proof: str = ""
    expires: str | None = None


class MessageView(msgspec.Struct, frozen=True):
    """A message: the first characters of its action's id, its rule (`journey/rule`), and when it came to each status; null: it did not."""

    action: str
    rule: str
    channel: str | None
    sent: str
    delivered: str | None
    opened: str | None
    clicked: str | None


class SessionView(msgspec.Struct, frozen=True):
    """A session: its first and last interaction so far, and how many there were."""

    start: str
    last: str
    events: int


class PageView(msgspec.Struct, frozen=True):
    """A page: how long the customer was there in all visits that are kept, how often, and when last."""

    page: str
    seconds: float
    views: int
    last: str


class AnswerView(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """The last answer to a survey: the score on its kind's scale, its class, and the event that said it.

    `path`: journey -> the last stages entered until then; the last of them is the one that the customer was in.
    """

    survey: str
    kind: SurveyKind
    score: int
    class_: str
    at: str
    event: str
    comment: str | None = None
    path: dict[str, tuple[Visit, ...]] = {}


class FrictionView(msgspec.Struct, frozen=True):
    """A friction: its kind, where it was (null: not known), how much it weighs, and when."""

    kind: str
    place: str | None
    weight: float
    at: str


class ContactView(msgspec.Struct, frozen=True):
    """A contact who counts: their role, stage and scores as the account was last told, and when that was."""

    customer: str
    role: str
    stage: str
    scores: dict[str, float]
    at: str


class AccountView(msgspec.Struct, frozen=True):
    """An account: its stage (null: none of its contacts counts), since when, the highest it ever had, its scores as last said, its contacts."""

    account: str
    stage: str | None
    since: str | None
    high_water: str | None
    scores: dict[str, float]
    contacts: tuple[ContactView, ...]


def account_view(account: Account) -> AccountView:
    """One account; the contacts that changed last come first."""
    marks, contacts = account.marks, sorted(account.contacts.items(), key=lambda each: (-each[1].at, each[0]))
    return AccountView(
        account.account, marks.stage or None, isoformat(marks.since) if marks.since else None, marks.high_water or None,
        dict(sorted(marks.said.items())),
        tuple(ContactView(name, each.role, each.stage, each.scores, isoformat(each.at)) for name, each in contacts),
    )  # fmt: skip


class CustomerView(msgspec.Struct, frozen=True):
    """Everything known about one customer, read at `as_of`."""

    customer: str
    as_of: str
    clock: str
    first_seen: str
    events: int
    journeys: dict[str, JourneyView]
    counters: dict[str, int]
    last: dict[str, str]
    """Interactions that some rule watches -> the last one."""
    traits: dict[str, Any]
    """The account that the customer belongs to is `account.id`."""
    timers: dict[str, str]
    """What is due next, the earliest first."""
    consents: tuple[ConsentView, ...] = ()
    """What the customer has said, the last word for each purpose and channel, the latest first."""
    suppressed_since: str | None = None
    """Since when the customer is on the suppression list; null: not on it."""
    preferred_channel: Preference | None = None
    """What `channel: preferred` of an action would become now, and what speaks for it; null where nothing does."""
    messages: tuple[MessageView, ...] = ()
    """The last messages sent, the latest first, and what has become of them."""
    exposures: dict[str, str] = {}
    """Experiment -> the customer's variant."""
    sessions: tuple[SessionView, ...] = ()
    """The last sessions, the latest first."""
    pages: tuple[PageView, ...] = ()
    """Time on each page, the page viewed last first."""
    frictions: tuple[FrictionView, ...] = ()
    """The last frictions, the latest first."""
    answers: tuple[AnswerView, ...] = ()
    """The last answer to each survey, the latest first."""
    more: dict[str, Any] = {}
    """Whatever else is stored."""


def profile_view(profile: Profile, program: Program, now: Instant) -> CustomerView:
    """One profile: stages, scores read at `now` (or the customer's clock, if later), counters, next timers."""
    at = max(now, profile.clock)
    return CustomerView(
        customer=profile.customer,
        as_of=isoformat(at),
        clock=isoformat(profile.clock),
        first_seen=isoformat(profile.first_seen),
        events=profile.events,
        journeys={
            name: _journey(state, program.scores(name), program.content(name, state.stage), at)
            for name, state in profile.journeys.items()
        },
        counters=dict(sorted(profile.counters.items())),
        last=_times(profile.last),
        traits={name: kept[0] for name, kept in sorted(profile.traits.items())},
        timers=_times(dict(sorted(profile.timers.items(), key=lambda each: (each[1], each[0])))),
        consents=_consents(profile.ledger),
        preferred_channel=program.prefers(profile, at),
        messages=_messages(profile.ledger),
        exposures=profile.ledger.exposures if profile.ledger is not None else {},
        suppressed_since=_listed_since(profile.ledger),
        sessions=_sessions(profile.visits),
        pages=_pages(profile.visits),
        frictions=_frictions(profile),
        answers=_answers(profile),
        more=_more(profile, _SHOWN),
    )


def _consents(ledger: Ledger | None) -> tuple[ConsentView, ...]:
    said = [read(key, entry) for key, entry in ledger.consents.items()] if ledger is not None else []
    return tuple(
        ConsentView(
            each.purpose, each.channel, each.status, isoformat(each.at), each.source, each.proof,
            isoformat(each.expires) if each.expires else None,
        )
        for each in sorted(said, key=lambda each: (-each.at, each.purpose, each.channel))
    )  # fmt: skip


def _messages(ledger: Ledger | None) -> tuple[MessageView, ...]:
    kept = [(action, Message(*entry)) for action, entry in ledger.messages.items()] if ledger is not None else []
    return tuple(
        MessageView(
            action, each.rule, each.channel, isoformat(each.sent), *(isoformat(at) if at else None for at in each[3:])
        )
        for action, each in reversed(kept)
    )


def _sessions(visits: Visits | None) -> tuple[SessionView, ...]:
    spans = visits.spans if visits is not None else []
    return tuple(SessionView(isoformat(start), isoformat(last), events) for start, last, events in reversed(spans))


def _pages(visits: Visits | None) -> tuple[PageView, ...]:
    found = by_page(visits).items() if visits is not None else ()
    return tuple(PageView(page, time / SECOND, views, isoformat(last)) for page, (time, views, last) in found)


def _frictions(profile: Profile) -> tuple[FrictionView, ...]:
    last = profile.trouble.last if profile.trouble is not None else []
    return tuple(FrictionView(kind, place or None, weight, isoformat(at)) for at, kind, place, weight in reversed(last))


def _answers(profile: Profile) -> tuple[AnswerView, ...]:
    return tuple(
        AnswerView(
            survey, each.kind, each.score, class_of(each.kind, each.score), isoformat(each.at), each.event, each.comment or None,
            {name: tuple(Visit(stage, isoformat(at)) for stage, at in path) for name, path in each.path.items()},
        )
        for survey, each in answers_of(profile)
    )  # fmt: skip


def _listed_since(ledger: Ledger | None) -> str | None:
    return isoformat(ledger.listed[0]) if ledger is not None and ledger.listed and ledger.listed[1] else None


def _journey(
    state: JourneyState, machines: Mapping[str, ScoreMachine], content: dict[str, Any], at: Instant
) -> JourneyView:
    return JourneyView(
        stage=state.stage,
        content=content,
        high_water=state.high_water,
        entered_at=isoformat(state.entered_at),
        history=tuple(Visit(stage, isoformat(when)) for stage, when in state.history),
        scores={name: _score(machine, state, at) for name, machine in machines.items()},
        segments=_times(dict(sorted(state.segments.items()))),
        last_actions=_times(state.fired),
        set_since=isoformat(state.lock[0]) if state.lock else None,
        set_until=isoformat(state.lock[1]) if state.lock and state.lock[1] else None,
        held_until=isoformat(state.unstable) if state.unstable else None,
        held_actions=tuple(
            HeldView(each.rule, each.gate, isoformat(each.since), isoformat(each.release_at))
            for each in sorted(state.holds, key=lambda each: each.release_at)
        ),
        flows=tuple(
            FlowView(
                each.flow,
                each.key or None,
                isoformat(each.entered_at),
                each.step,
                isoformat(each.since),
                isoformat(each.due) if each.due else None,
            )
            for each in state.flows
        ),
        waiting={name: isoformat(since[0]) for name, since in state.since.items()},
        more={
            name: value
            for record in (state, state.memory, state.course, state.tasks)
            if record is not None
            for name, value in _more(record, _JOURNEY_SHOWN).items()
        },
    )


def _score(machine: ScoreMachine, state: JourneyState, at: Instant) -> ScoreView:
    own = state.scores.get(machine.name)
    if own is None:
        return ScoreView(0.0, None)
    value = machine.value(own, at)
    return ScoreView(round(value, 4), machine.band_name(machine.band(own.band, value)), machine.contributors(own, at))


def _times(times: Mapping[str, Instant]) -> dict[str, str]:
    return {name: isoformat(at) for name, at in times.items()}


def _more(record: msgspec.Struct, shown: frozenset[str]) -> dict[str, Any]:
    """The fields that nobody has given a place yet, where they hold anything."""
    names = (name for name in record.__struct_fields__ if name not in shown)
    return {name: msgspec.to_builtins(value) for name in names if (value := getattr(record, name))}
