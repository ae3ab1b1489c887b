"""Clicks that may be a scanner's: put aside, counted when a human shows, otherwise never; what was counted of a burst is taken back.

Mail gateways open links before people do. A click (or an open) that comes too soon after the delivery, or with several links in a few
seconds, or on a link that no human sees, or from a known agent, is not stepped but kept. Somebody who stays on a page after it
releases it: then it is stepped, with its own time. Otherwise it is said to be quarantined, and never counted.

The first clicks of a burst were stepped before it was one. So from a click on, for as long as a burst may come of it, the profile as it
was before and what came since are kept; then all is stepped again without the burst, and decisions that do not hold are withdrawn.

It wraps the steps of a `Program`: a topology without `scanners` has none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rumbo.core import profile as record
from rumbo.core.decision import Decision, Leaf
from rumbo.core.definition import EventTest, Scanners
from rumbo.core.identity import Identity
from rumbo.core.instant import Instant, format_duration, isoformat
from rumbo.core.interaction import Interaction, folded
from rumbo.core.outputs import EventQuarantined, Suspicion
from rumbo.core.profile import Clicks, Profile
from rumbo.core.retraction import Standing, remember, retraction
from rumbo.core.scope import Read, Turn
from rumbo.core.tracker import passes

if TYPE_CHECKING:
    from rumbo.core.program import Program

RECENT: Final = 16
"""Clicks that are remembered to tell a burst, the latest."""
HELD: Final = 16
"""Clicks that are kept at once; one more is quarantined for good."""
DELIVERIES: Final = 32
SINCE: Final = 32
"""Interactions after a click that are kept to step them again; with more, what was decided stands."""
BYTES: Final = 32 * 1024
"""Of kept clicks, and of kept interactions, together."""
TEXT: Final = 256
PACKED: Final = 12
"""Fields of a kept interaction; one that was put aside has the suspicion after them."""
HOLDS, BURST = "scanner:held", "scanner:burst"
_RULE: Final = "scanners"


class _Test(NamedTuple):
    events: EventTest
    where: Read | None


class Guard:
    """Steps the customers of one topology, clicks of scanners aside. Not for use by two threads at once."""

    def __init__(
        self,
        program: Program,
        turn: Turn,
        scanners: Scanners,
        read: Callable[[str], Read],
        signers: tuple[Identity, ...],
    ) -> None:
        self._program, self._turn, self._rules, self._signers = program, turn, scanners, signers
        self._by = {who.journey: who for who in signers}
        self._advance, self._fire, self._instruct = program.advance, program.fire, program.instruct
        self._clicks, self._delivered, self._human = (
            _test(each, read) for each in (scanners.click, scanners.delivered, scanners.human)
        )
        self._message, self._link, self._honeypot, self._known = (
            read(text) if text is not None else None for text in (scanners.message, scanners.link, scanners.honeypot, scanners.known)
        )  # fmt: skip
        tests = (scanners.click, scanners.delivered, scanners.human)
        self._names = frozenset(name for each in tests if each is not None for name in each.names)
        self.timers: dict[str, Callable[[Turn], None]] = {HOLDS: self._confirm, BURST: _forget}

    # Steps ----------------------------------------------------------------------------------------------------------------

    def advance(self, profile: Profile, event: Interaction) -> list[Decision]:
        """Step one interaction, or put it aside."""
        clicks = profile.clicks
        if event.key not in self._names and (clicks is None or not clicks.base):
            return self._advance(profile, event)
        if self._program.knows(profile, event):
            return self._advance(profile, event)  # which counts the repeat
        turn = self._turn
        turn.sees(profile, event, event.at)
        return self._click(profile, event) if _is(self._clicks, turn) else self._other(profile, event)

    def _other(self, profile: Profile, event: Interaction) -> list[Decision]:
        """What is no click: a delivery, what shows a human, or anything else."""
        turn = self._turn
        if _is(self._delivered, turn):
            self._deliver(turn, event)
        human = _is(self._human, turn)
        made = self._noted(profile, event)
        return made + self._human_came(profile, event) if human and profile.clicks is not None else made

    def fire(self, profile: Profile, clock: Instant) -> list[Decision]:
        """Fire timers; what comes of them is remembered while a burst may come."""
        made = self._fire(profile, clock)
        _remember(profile, made)
        return made

    def instruct(self, profile: Profile, said: Interaction, journey: str, order: Any) -> list[Decision]:
        """A word of somebody in the middle of a burst: what was decided before it stands."""
        if profile.clicks is not None:
            _drop(profile.clicks, profile)
        return self._instruct(profile, said, journey, order)

    def _noted(self, profile: Profile, event: Interaction) -> list[Decision]:
        """Step it, and keep it while a burst may come."""
        made = self._advance(profile, event)
        clicks = profile.clicks
        if clicks is not None and clicks.base:
            self._keep(profile, _packed(event), made)
        return made

    def _keep(self, profile: Profile, packed: list[Any], made: list[Decision]) -> None:
        clicks = _opened(profile)
        clicks.since.append(packed)
        if len(clicks.since) > SINCE or sum(map(_size, clicks.since)) > BYTES:
            self._turn.counts["burst_full"] += 1
            _drop(clicks, profile)
        _remember(profile, made)

    # Suspicion ------------------------------------------------------------------------------------------------------------

    def _deliver(self, turn: Turn, event: Interaction) -> None:
        message = _text(self._message, turn)
        if message is None:
            return
        delivered = _opened(turn.profile).delivered
        delivered[message] = min(event.at, delivered.pop(message, event.at))
        while len(delivered) > DELIVERIES:
            del delivered[next(iter(delivered))]

    def _click(self, profile: Profile, event: Interaction) -> list[Decision]:
        turn, clicks = self._turn, _opened(profile)
        link = _text(self._link, turn)
        why, burst = self._alone(turn, clicks, event), self._burst(clicks, event, link)
        clicks.recent.append([event.at, link or "", event.id])
        clicks.recent.sort()
        clicks.recent = [each for each in clicks.recent if each[0] >= clicks.recent[-1][0] - self._rules.within][
            -RECENT:
        ]
        held = {each[5][1] for each in clicks.held}
        counted = burst - held - {event.id}
        if counted and clicks.base:
            return self._undo(profile, event, counted)
        if why is None and burst:
            why = "burst"
        if why is not None:
            return self._hold(profile, event, why)
        if not clicks.base:
            clicks.base = record.dump(profile)
        profile.timers[BURST] = max(event.at + self._rules.within, profile.timers.get(BURST, 0))
        return self._noted(profile, event)

    def _alone(self, turn: Turn, clicks: Clicks, event: Interaction) -> Suspicion | None:
        """What speaks against this click whatever the others."""
        if self._honeypot is not None and self._honeypot(turn) is True:
            return "honeypot"
        if self._known is not None and self._known(turn) is True:
            return "known"
        message = _text(self._message, turn)
        delivered = clicks.delivered.get(message) if message is not None else None
        if delivered is not None and 0 <= event.at - delivered < self._rules.after_delivery:
            return "delivery"
        return None

    def _burst(self, clicks: Clicks, event: Interaction, link: str | None) -> set[str]:
        """The ids of the clicks that make a burst with this one; none where there is none."""
        near = [each for each in clicks.recent if abs(each[0] - event.at) <= self._rules.within]
        near.append([event.at, link or "", event.id])
        found: set[str] = set()
        for start in (each[0] for each in near if each[0] <= event.at):
            inside = [each for each in near if start <= each[0] <= start + self._rules.within]
            if (
                event.at <= start + self._rules.within
                and len({each[1] for each in inside if each[1]}) >= self._rules.links
            ):
                found |= {each[2] for each in inside}
        return found

    # Quarantine -----------------------------------------------------------------------------------------------------------

    def _hold(self, profile: Profile, event: Interaction, why: Suspicion) -> list[Decision]:
        """Put it aside: its id and its time are known, and nothing else of it."""
        turn = self._turn
        out = self._program.pass_by(profile, event)
        clicks, until = _opened(profile), profile.clock + self._rules.length
        kept = [profile.clock, until, why, 0, _text(self._link, turn) or "", _packed(event)]
        if len(clicks.held) >= HELD or sum(_size(each[5]) for each in (*clicks.held, kept)) > BYTES:
            turn.counts["quarantine_full"] += 1
            self._say(turn, kept)
            if clicks.base:
                self._keep(profile, [*_packed(event), why], out)
            return out
        clicks.held.append(kept)
        profile.timers[HOLDS] = min(until, profile.timers.get(HOLDS, until))
        detail = f"the click may be a scanner's: {_said(why, self._rules)}"
        self._program.hold_back(turn, detail, until)
        if clicks.base:  # a burst that is taken back leaves it aside
            self._keep(profile, [*_packed(event), why], out)
        return out

    def _confirm(self, turn: Turn) -> None:
        """No human has shown: it is said, and the click is never counted."""
        profile, clicks = turn.profile, turn.profile.clicks
        if clicks is None:
            return
        over = [each for each in clicks.held if each[1] <= turn.now]
        clicks.held = [each for each in clicks.held if each[1] > turn.now]
        for each in over:
            self._say(turn, each)
        if clicks.held:
            profile.timers[HOLDS] = min(each[1] for each in clicks.held)
        _tidy(profile)

    def _say(self, turn: Turn, kept: list[Any]) -> None:
        since, _, why, _, link, packed = kept
        event = _unpacked(turn.profile.customer, packed)
        seen, at = turn.event, turn.at
        for who in self._signers:
            turn.sees(turn.profile, event, at)
            leaf = Leaf(_said(why, self._rules), holds=True, saw={"link": link or None}, events=(event.id,))
            data = EventQuarantined(
                **who.words(turn), because=who.because(turn, _RULE, (leaf,)),
                event=event.name, event_id=event.id, event_time=isoformat(event.at), suspicion=why, since=isoformat(since),
            )  # fmt: skip
            turn.out.append(who.decide(turn, "event.quarantined", "quarantined", data))
        turn.sees(turn.profile, seen, at)

    def _human_came(self, profile: Profile, event: Interaction) -> list[Decision]:
        """A page view after the click, and something later than `dwell` after that: a human was there."""
        clicks, free = profile.clicks, list[list[Any]]()
        for each in clicks.held if clicks is not None else ():
            if each[3] and event.at > each[3] + self._rules.dwell:
                free.append(each)
            elif event.at >= each[5][2] and (not each[3] or event.at < each[3]):
                each[3] = event.at
        made: list[Decision] = []
        for each in free:
            profile.clicks.held.remove(each)  # type: ignore[union-attr]  # it was among them
            made += self._program.again(profile, _unpacked(profile.customer, each[5]))
        made = [self._once(profile, event, each) for each in made]
        _tidy(profile)
        _remember(profile, made)
        return made

    def _once(self, profile: Profile, event: Interaction, made: Decision) -> Decision:
        """A decision that was withdrawn and holds again is not sent again: its retraction is withdrawn."""
        gone = profile.clicks.gone.pop(made.id, None) if profile.clicks is not None else None
        if gone is None:
            return made
        self._turn.sees(profile, event, profile.clock)
        what = Standing(gone[0], "decision.retracted", gone[1])
        return retraction(self._by[made.journey], self._turn, what, "reinstated", rule=_RULE)

    # What was counted -----------------------------------------------------------------------------------------------------

    def _undo(self, profile: Profile, event: Interaction, burst: set[str]) -> list[Decision]:
        """Step what came since the first click again, the burst put aside; withdraw what does not hold any more."""
        clicks, stats = _opened(profile), self._turn.counts.copy()
        before, since, recent = {row[0]: row for row in clicks.rows}, clicks.since, clicks.recent
        fresh, clock = self._program.load(profile.customer, clicks.base), profile.clock
        made: list[Decision] = []
        for each in since:
            past = _unpacked(profile.customer, each[:PACKED])
            self._turn.sees(fresh, past, past.at)
            aside: Suspicion | None = "burst" if past.id in burst else (*each[PACKED:], None)[0]
            made += self._hold(fresh, past, aside) if aside is not None else self._other(fresh, past)
        made += self._fire(fresh, clock)
        for name in record.Profile.__struct_fields__:
            setattr(profile, name, getattr(fresh, name))
        mine = _opened(profile)
        mine.recent = recent
        _drop(mine, profile)
        self._turn.counts.clear()
        self._turn.counts.update(stats)  # they were counted when they came first
        self._turn.sees(profile, event, event.at)
        mine.gone = clicks.gone
        held = self._hold(profile, event, "burst")
        stands = {each.id for each in made}
        return [*(each for each in made if each.id not in before), *held, *self._withdrawn(before, stands)]

    def _withdrawn(self, before: dict[str, list[Any]], stands: set[str]) -> list[Decision]:
        clicks, made = _opened(self._turn.profile), list[Decision]()
        for name, row in before.items():
            if name not in stands:
                said = retraction(
                    self._by[row[3]], self._turn, Standing(row[0], row[1], row[2]), "quarantine", rule=_RULE
                )
                clicks.gone[name] = [said.id, said.at]
                made.append(said)
        return made


def _test(events: EventTest | None, read: Callable[[str], Read]) -> _Test | None:
    return _Test(events, read(events.where) if events.where is not None else None) if events is not None else None


def _is(test: _Test | None, turn: Turn) -> bool:
    return test is not None and turn.event is not None and passes(test.events, test.where, turn.event.key, turn)


def _text(read: Read | None, turn: Turn) -> str | None:
    found = read(turn) if read is not None else None
    return found[:TEXT] if isinstance(found, str) and found else None


def _said(why: Suspicion, rules: Scanners) -> str:
    """A suspicion in words."""
    return {
        "delivery": f"less than {format_duration(rules.after_delivery)} after the delivery",
        "burst": f"{rules.links} links or more within {format_duration(rules.within)}",
        "honeypot": "a link that no human sees",
        "known": "a known scanner",
    }[why]


def _opened(profile: Profile) -> Clicks:
    if profile.clicks is None:
        profile.clicks = Clicks()
    return profile.clicks


def _tidy(profile: Profile) -> None:
    """With the last click that a human might release, what was withdrawn stays so."""
    clicks = profile.clicks
    if clicks is not None and not clicks.held:
        clicks.gone = {}


def _remember(profile: Profile, made: list[Decision]) -> None:
    clicks = profile.clicks
    if clicks is not None and clicks.base:
        for each in made:
            remember(clicks.rows, each, each.journey)


def _forget(turn: Turn) -> None:
    """No burst has come: what was decided stands."""
    if turn.profile.clicks is not None:
        _drop(turn.profile.clicks, turn.profile)


def _drop(clicks: Clicks, profile: Profile) -> None:
    clicks.base, clicks.since, clicks.rows = b"", [], []
    profile.timers.pop(BURST, None)


def _packed(event: Interaction) -> list[Any]:
    raw = (bytes(each) for each in (event.properties_raw, event.context_raw, event.traits_raw))
    return [event.name, event.id, event.at, event.topic, event.partition, event.offset, *raw, event.account, event.anonymous, event.format]  # fmt: skip


def _size(packed: list[Any]) -> int:
    return sum(len(each) for each in packed[6:9])


def _unpacked(customer: str, packed: list[Any]) -> Interaction:
    name, number, at, topic, partition, offset, properties, context, traits, account, anonymous, form = packed
    return Interaction(
        customer, name, folded(name), number, at, topic, partition, offset, properties, context, traits, account,
        anonymous=anonymous, format=form,
    )  # fmt: skip
