"""Late interactions put in their place: the profile is folded anew from the customer's past, and the decisions are compared.

What comes in order is stepped as ever, and kept. What comes late is folded in where it happened: decisions that do not hold any
more are withdrawn, new ones are made, and none is made twice. What was withdrawn and holds again has its retraction
withdrawn. An action whose time is over is recorded as too late. It never reads a clock, and knows nothing of storage.

The profile is at every time the fold of base and inputs: so the result is the same in every order of arrival within the reach.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgspec

from rumbo.core import profile as record
from rumbo.core.authority import Order
from rumbo.core.consent import Consent
from rumbo.core.contact import Listed
from rumbo.core.decision import Decision, GateAnswer, decision_id
from rumbo.core.definition import Late
from rumbo.core.instant import Duration, Instant, isoformat, parse_instant
from rumbo.core.interaction import Interaction
from rumbo.core.mistyped import Mistyped
from rumbo.core.outputs import ActionRequested, ActionSuppressed
from rumbo.core.past import LAST, MOST_BYTES, Entry, Head, Past, entry, instruction
from rumbo.core.profile import Profile
from rumbo.core.program import Program
from rumbo.core.retraction import Standing, retraction, standing

EXCEPTIONS: Final = 256
"""Decisions of one customer that are withdrawn or were too late, within the reach; with more the past begins anew."""
_RULE: Final = "late event"
Said = Order | Consent | Listed


class Changed:
    """What refolds have changed that somebody may have counted: whose, and the decisions that were withdrawn or hold again."""

    def __init__(self) -> None:
        self.customers: set[str] = set()
        self.undone: list[Decision] = []
        self.redone: list[Decision] = []


class Refolder:
    """Steps the customers of one topology that refolds. Not for use by two threads at once."""

    def __init__(self, program: Program, late: Late, definition: str) -> None:
        self._program, self._late, self._definition = program, late, definition
        self._figures: dict[str, Duration] = {}
        self._changed = Changed()

    def reads(self, figures: dict[str, Duration]) -> None:
        """As `Program.reads`."""
        self._figures = figures
        self._program.reads(figures)

    def take(self) -> Changed:
        """What has changed since this was last asked."""
        found, self._changed = self._changed, Changed()
        return found

    def advance(self, profile: Profile, past: Past, event: Interaction) -> list[Decision]:
        """Step one interaction of this customer: in order, or in its place."""
        self._fits(profile, past)
        if not self._follows(profile, past, event):
            return self._put(profile, past, entry(event, self._figures))
        return self._step(profile, past, lambda: self._program.advance(profile, event), entry(event, self._figures))

    def instruct(self, profile: Profile, past: Past, event: Interaction, journey: str, said: Said) -> list[Decision]:
        """Step what somebody said of this customer."""
        self._fits(profile, past)
        kept = instruction(event, journey, said, self._figures)
        if not self._follows(profile, past, event):
            return self._put(profile, past, kept)
        return self._step(profile, past, lambda: self._program.instruct(profile, event, journey, said), kept)

    def fire(self, profile: Profile, past: Past, clock: Instant) -> list[Decision]:
        """Fire this customer's timers due until `clock`."""
        self._fits(profile, past)
        self._program.fired = 0
        made = self._program.fire(profile, clock)
        past.stepped(profile, self._program.fired)
        return made

    def _fits(self, profile: Profile, past: Past) -> None:
        """Whether this past is of this profile as it is; one that was stepped without it, or by other definitions, has none yet."""
        head = past.head
        if not profile.events and not head.count and head.frontier is None:
            head.definition = self._definition
        elif (head.definition, head.events, head.clock) != (self._definition, profile.events, profile.clock):
            past.begin(profile, self._definition)

    def _follows(self, profile: Profile, past: Past, event: Interaction) -> bool:
        """Whether it stands after everything that was stepped: the last input, and the timers that have fired."""
        head = past.head
        if event.at > profile.clock:
            return event.at > head.fired
        if event.at < profile.clock or event.at <= head.fired:
            return False
        return all(known is None or known < (event.at, event.id) for known in (head.last, head.frontier))

    def _step(self, profile: Profile, past: Past, step: Callable[[], list[Decision]], kept: Entry) -> list[Decision]:
        """What comes in order. A timer that it sets for an instant until which timers have fired already fires at once."""
        program, events, head = self._program, profile.events, past.head
        program.fired = 0
        made = step()
        fired = max(head.fired, program.fired)
        if profile.timers and profile.due <= fired:
            made = made + program.fire(profile, fired)
        if profile.events != events:  # else it is a repeat, or said of a journey that is not here
            past.append(kept)
            self._bound(past)
        past.stepped(profile, fired)
        return made

    def _bound(self, past: Past) -> None:
        """Fold the oldest inputs into the base where there are too many, or they are too old: some at a time."""
        head, late = past.head, self._late
        now = head.last[0] if head.last is not None else 0
        if not (
            head.count > late.events + late.events // 4
            or head.oldest < now - late.within - late.within // 4
            or head.size > MOST_BYTES
        ):
            return
        entries, size, keep = past.entries, 0, 0
        for each in reversed(entries):
            size += each.size
            if keep == late.events or each.place < now - late.within or (size > MOST_BYTES * 3 // 4 and keep):
                break
            keep += 1
        gone = entries[: len(entries) - keep]
        if gone:
            with self._aside():
                base = self._load(past)
                self._play(base, gone)
            past.rebase(record.dump(base), gone[-1].key, len(gone))

    # Late ---------------------------------------------------------------------------------------------------------------

    def _put(self, profile: Profile, past: Past, late: Entry) -> list[Decision]:
        """Put a late input in its place, fold, compare."""
        stats, program = self._program.stats, self._program
        event = late.interaction(profile.customer)
        if program.repeats(profile, event):
            return []
        known = past.find(event.id)
        if known is not None or past.came_beyond(event.id):
            same = known is None or (known.at, known.properties) == (late.at, late.properties)
            stats["duplicate" if same else "duplicate_conflict"] += 1
            return []
        beyond = past.head.frontier is not None and late.key <= past.head.frontier
        if beyond and late.order is not None:  # it is obeyed as it comes
            late.place, beyond = profile.clock, False
            if past.head.last is not None and late.key <= past.head.last:
                late.place = past.head.last[0] + 1
        stats["late_beyond_journal" if beyond else "late_refolded"] += 1
        with self._aside() as kept:
            before, after = self._beyond(past, late, event) if beyond else self._between(past, late)
            now, then = after.counts, before.counts
            kept.stats.update(now.stats - then.stats)  # what it has made to be met besides
            kept.mistyped.update(now.mistyped - then.mistyped)
        for name in Profile.__struct_fields__:
            setattr(profile, name, getattr(after.profile, name))
        if beyond:
            past.reached_beyond(late.id)
        else:
            past.insert(late)
        self._changed.customers.add(profile.customer)
        made = self._compared(profile, past, event, before.decisions, after.decisions)
        self._bound(past)
        past.stepped(profile)
        if len(past.head.withdrawn) + len(past.head.instead) > EXCEPTIONS:
            stats["refold_exceptions"] += 1
            past.begin(profile, self._definition)
        return made

    def _between(self, past: Past, late: Entry) -> tuple[_Fold, _Fold]:
        entries, at = past.entries, past.place(late.key)
        shared = self._load(past)
        self._play(shared, entries[:at])
        if at:
            late.figures = entries[at - 1].figures
        other = self._copy(shared)
        return self._folded(past, shared, entries[at:]), self._folded(past, other, [late, *entries[at:]])

    def _beyond(self, past: Past, late: Entry, event: Interaction) -> tuple[_Fold, _Fold]:
        """What needs no order goes into the base: counters, the latest of each, points that only fade, consent."""
        base = self._load(past)
        other = self._copy(base)
        word = late.consent or late.listed
        if word is None:
            self._program.absorb(other, event)
        else:
            self._program.take(other, event, word)
        past.rebase(record.dump(other), past.head.frontier or (late.place, LAST), 0)
        return self._folded(past, base, past.entries), self._folded(past, other, past.entries)

    def _folded(self, past: Past, profile: Profile, inputs: Sequence[Entry]) -> _Fold:
        program = self._program
        _Counts().restore(program)
        decisions = self._play(profile, inputs)
        decisions += program.fire(profile, past.head.fired)
        return _Fold(profile, {each.id: each for each in decisions}, _Counts.of(program))

    def _play(self, profile: Profile, inputs: Iterable[Entry]) -> list[Decision]:
        program, made = self._program, list[Decision]()
        for each in inputs:
            program.reads(each.figures)
            event, said = each.interaction(profile.customer), each.said
            if said is None:
                made += program.advance(profile, event)
            else:
                if each.place != each.at:
                    event.at = each.place
                made += program.instruct(profile, event, each.journey, said)
        return made

    @contextmanager
    def _aside(self) -> Iterator[_Counts]:
        """While the past is folded the program counts aside: what was met then was counted when it came."""
        program = self._program
        kept, fired = _Counts.of(program), program.fired
        yield kept
        kept.restore(program)
        program.fired = fired
        program.reads(self._figures)

    def _load(self, past: Past) -> Profile:
        return self._program.load(past.customer, past.base)

    def _copy(self, profile: Profile) -> Profile:
        return self._program.load(profile.customer, record.dump(profile))

    # Comparing ----------------------------------------------------------------------------------------------------------

    def _compared(
        self, profile: Profile, past: Past, event: Interaction, before: dict[str, Decision], after: dict[str, Decision]
    ) -> list[Decision]:
        """Withdraw what does not hold any more, say what is new; what is in both stands."""
        made = [self._withdraw(profile, past, event, each) for each in before.values() if each.id not in after]
        made += [self._say(profile, past, event, each) for each in after.values() if each.id not in before]
        return made

    def _withdraw(self, profile: Profile, past: Past, event: Interaction, gone: Decision) -> Decision:
        what = standing(gone)
        replaced = past.head.instead.pop(gone.id, None)
        if replaced is not None:  # it was never asked for: what was said in its place goes
            what = Standing(replaced[0], "action.suppressed", gone.at)
        out = self._retract(profile, event, gone.journey, what)
        past.head.withdrawn[what.id] = [out.id, gone.at]
        if replaced is not None:
            past.head.withdrawn[gone.id] = [replaced[0], gone.at]
        else:
            self._changed.undone.append(gone)
        return out

    def _say(self, profile: Profile, past: Past, event: Interaction, new: Decision) -> Decision:
        withdrawn, head = past.head.withdrawn.pop(new.id, None), past.head
        if withdrawn is not None:
            again = head.withdrawn.pop(withdrawn[0], None)
            if again is not None:  # what was said in its place holds again
                head.instead[new.id] = [withdrawn[0], new.at]
                withdrawn = again
            else:
                self._changed.redone.append(new)
            return self._retract(
                profile, event, new.journey, Standing(withdrawn[0], "decision.retracted", new.at), again=True
            )
        late = _too_late(new, profile.clock, self._program.topology, self._major(new.journey))
        if late is None:
            return new
        head.instead[new.id] = [late.id, new.at]
        return late

    def _major(self, journey: str) -> str:
        return self._program.machine(journey).journey.major

    def _retract(
        self, profile: Profile, event: Interaction, journey: str, what: Standing, *, again: bool = False
    ) -> Decision:
        who, turn = self._program.machine(journey).who, self._program.sight(profile, event)
        return retraction(who, turn, what, "reinstated" if again else "late_event", rule=_RULE)


class Remembering:
    """Steps as a program does, and keeps the pasts in memory: of one partition, or of one customer."""

    def __init__(self, program: Program, refolder: Refolder) -> None:
        self._program, self._refolder = program, refolder
        self._pasts: dict[str, Past] = {}
        self.reads = refolder.reads

    def _past(self, customer: str) -> Past:
        past = self._pasts.get(customer)
        if past is None:
            past = self._pasts[customer] = Past(customer, Head())
        return past

    def advance(self, profile: Profile, event: Interaction) -> list[Decision]:
        """Step one interaction of this customer."""
        return self._refolder.advance(profile, self._past(profile.customer), event)

    def instruct(self, profile: Profile, event: Interaction, journey: str, said: Said) -> list[Decision]:
        """Step what somebody said of this customer."""
        return self._refolder.instruct(profile, self._past(profile.customer), event, journey, said)

    def fire(self, profile: Profile, clock: Instant) -> list[Decision]:
        """Fire this customer's timers due until `clock`."""
        return self._refolder.fire(profile, self._past(profile.customer), clock)

    def repeats(self, profile: Profile, event: Interaction) -> bool:
        """Whether this interaction is known."""
        past = self._past(profile.customer)
        known = past.find(event.id) is not None or past.came_beyond(event.id)
        return known or self._program.repeats(profile, event)


class _Counts:
    """What a program has counted."""

    def __init__(self) -> None:
        self.stats: Counter[str] = Counter()
        self.mistyped: Counter[Mistyped] = Counter()

    @classmethod
    def of(cls, program: Program) -> _Counts:
        """What it has counted by now."""
        made = cls()
        made.stats.update(program.stats)
        made.mistyped.update(program.mistyped)
        return made

    def restore(self, program: Program) -> None:
        """This is what it has counted."""
        for counts, kept in ((program.stats, self.stats), (program.mistyped, self.mistyped)):
            counts.clear()
            counts.update(kept)  # type: ignore[arg-type]  # each by its own


class _Fold(NamedTuple):
    """What a fold came to."""

    profile: Profile
    decisions: dict[str, Decision]
    counts: _Counts


def _too_late(new: Decision, now: Instant, topology: str, major: str) -> Decision | None:
    """The recorded no in place of an action whose time is over at the customer's clock; None where it may be asked for."""
    data: Any = new.data
    if type(data) is not ActionRequested or data.expires_at is None or parse_instant(data.expires_at) > now:
        return None
    detail = f"found by an event that came late: expired {data.expires_at}, and it is {isoformat(now)}"
    because = msgspec.structs.replace(data.because, gates=(GateAnswer("expired", passed=False, detail=detail),))
    kept = {name: getattr(data, name) for name in ActionRequested.__struct_fields__}
    said = ActionSuppressed(**kept | {"because": because}, gate="expired", detail=detail)
    number = decision_id(topology, new.journey, major, new.customer, f"late:{data.trigger}", new.id)
    return Decision(number, "action.suppressed", new.customer, new.at, new.journey, said)
