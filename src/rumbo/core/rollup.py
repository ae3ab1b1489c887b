"""Accounts: the companies that customers belong to, each with the stage and the scores that its contacts give it.

An account hears of its contacts by changes. They come from several partitions, in no order between contacts: so each is put in its
place, by time, then by contact. What was decided since is decided anew; decisions that do not hold any more are withdrawn, new ones
are made, none is made twice. Within the last changes that are kept the net decisions are the same in every order of arrival; a change
from before them counts as it comes. It reads no clock and knows nothing of customers but what it is told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

from rumbo.core.account import CONTACTS, RECENT, Account, Contact, ContactChange, Noted
from rumbo.core.decision import Because, Cause, Decision, Kind, Leaf, decision_id
from rumbo.core.definition import Accounts, Journey, RollUp
from rumbo.core.instant import SECOND, Instant, isoformat
from rumbo.core.outputs import (
    AccountContact,
    AccountContributor,
    AccountScoreChanged,
    AccountStageChanged,
    Data,
    DecisionRetracted,
    Direction,
)

SHOWN: Final = 8
"""Contacts that a decision names."""
CONTRIBUTORS: Final = 5


class AccountMachine:
    """The accounts of one topology. `stats` counts what met a bound: `contacts_full`, `contact_change_beyond`, `contact_change_again` (a repeat)."""

    def __init__(self, topology: str, journey: Journey, rules: Accounts) -> None:
        self._topology, self._journey, self._rules = topology, journey, rules
        ordered = [stage.name for stage in journey.stages if not stage.side]
        self._rank = {name: rank for rank, name in enumerate(ordered)}
        self._sides = tuple(stage.name for stage in journey.stages if stage.side)
        self._needs = tuple(
            (name, rules.needs.get(name, rules.contacts) if rank else 1) for rank, name in reversed(list(enumerate(ordered)))
        )  # fmt: skip
        """Stages from the highest down, and how many contacts each needs."""
        self.stats: Counter[str] = Counter()

    def step(self, account: Account, change: ContactChange) -> list[Decision]:
        """Take one change of a contact; a repeat changes nothing."""
        if self._known(account, change):
            self.stats["contact_change_again"] += 1
            return []
        if account.frontier is not None and change.key <= account.frontier:
            self.stats["contact_change_beyond"] += 1
            change = msgspec.structs.replace(change, at=account.frontier[0])
        recent = account.recent
        place = bisect_left(recent, change.key, key=lambda each: each.change.key)
        last = place == len(recent)
        made = self._play(account, (change,)) if last else self._put(account, change, place)
        self._bound(account)
        return made

    def _known(self, account: Account, change: ContactChange) -> bool:
        """Whether it was taken already, or (from beyond the reach) a later word of the contact was."""
        own = [each.change.number for each in account.recent if each.change.customer == change.customer]
        if change.number in own:
            return True
        if account.frontier is None or change.key > account.frontier:
            return False
        kept = account.contacts.get(change.customer)
        return max([*own, kept.number if kept is not None else -1]) >= change.number

    def _put(self, account: Account, change: ContactChange, place: int) -> list[Decision]:
        """Put a change among those that came before it: what they decided, with it and without it."""
        later = [each.change for each in account.recent[place:]]
        full = self.stats.get("contacts_full", 0)
        self._take_out(account, place)
        before = self._play(account, later)
        counted = self.stats.get("contacts_full", 0) - full  # when they came first
        self._take_out(account, place)
        after = self._play(account, (change, *later))
        if counted:
            self.stats["contacts_full"] -= 2 * counted
        return self._compared(account, change, before, after)

    def _play(self, account: Account, changes: Iterable[ContactChange]) -> list[Decision]:
        return [decision for change in changes for decision in self._apply(account, change)]

    def _take_out(self, account: Account, place: int) -> None:
        """Take the changes from this place on out again."""
        for noted in reversed(account.recent[place:]):
            for customer, contact in noted.contacts:
                if contact is None:
                    account.contacts.pop(customer, None)
                else:
                    account.contacts[customer] = contact
            if noted.marks is not None:
                account.marks = noted.marks
        del account.recent[place:]

    def _bound(self, account: Account) -> None:
        recent = account.recent
        while len(recent) > RECENT:
            oldest = recent.pop(0).change.key
            account.frontier = max(account.frontier or oldest, oldest)
            gone = [number for number, (_, at) in account.withdrawn.items() if at <= account.frontier[0]]
            for number in gone:
                del account.withdrawn[number]

    # One change -------------------------------------------------------------------------------------------------------

    def _apply(self, account: Account, change: ContactChange) -> list[Decision]:
        contacts, marks = account.contacts, account.marks
        before = [(change.customer, contacts.get(change.customer))]
        if change.gone:
            contacts.pop(change.customer, None)
        else:
            contacts[change.customer] = Contact(change.at, change.number, change.role, change.stage, change.scores)
            if len(contacts) > CONTACTS:
                first = min(contacts, key=lambda each: (contacts[each].at, each))
                before.insert(0, (first, contacts.pop(first)))
                self.stats["contacts_full"] += 1
        made = [*self._staged(account, change), *self._scored(account, change)]
        account.recent.append(Noted(change, before, marks if made else None))
        return made

    def _staged(self, account: Account, change: ContactChange) -> Iterable[Decision]:
        marks, stage = account.marks, self._stage(account)
        if stage == marks.stage:
            return ()
        high = max(stage, marks.high_water, key=lambda each: self._rank.get(each, -1))
        account.marks = msgspec.structs.replace(
            marks, stage=stage, since=change.at, high_water=high if high in self._rank else marks.high_water
        )
        there = self._there(account, stage)
        data = AccountStageChanged(
            **self._words(change), because=self._because(change, f"account stage {stage or 'none'}", self._seen(account, change, marks.stage, stage)),
            account=account.account, from_=marks.stage or None, to=stage or None, direction=self._direction(marks.stage, stage),
            high_water=account.marks.high_water, dwell_seconds=(change.at - marks.since) / SECOND if marks.stage else 0.0,
            contacts=tuple(AccountContact(name, each.role, each.stage) for name, each in there[:SHOWN]), counted=len(account.contacts),
        )  # fmt: skip
        return (self._decide(change, "account.stage.changed", f"account:{marks.stage}>{stage}", data),)

    def _stage(self, account: Account) -> str:
        """The highest stage in which, or beyond which, there are enough contacts; where all stand beside the order, the first of those stages."""
        ranks = [self._rank[each.stage] for each in account.contacts.values() if each.stage in self._rank]
        for name, needs in self._needs:
            if sum(1 for each in ranks if each >= self._rank[name]) >= needs:
                return name
        beside = {each.stage for each in account.contacts.values()}
        return next((name for name in self._sides if name in beside), "")

    def _there(self, account: Account, stage: str) -> list[tuple[str, Contact]]:
        """Who holds the account in a stage: those in it or beyond, the furthest first; of a side stage, those in it."""
        rank = self._rank.get(stage, -1)
        found = [
            (name, each)
            for name, each in account.contacts.items()
            if each.stage == stage or (rank >= 0 and self._rank.get(each.stage, -1) >= rank)
        ]
        return sorted(found, key=lambda each: (-self._rank.get(each[1].stage, -1), each[0]))

    def _direction(self, was: str, stage: str) -> Direction | Literal["entered", "left"]:
        if not was or not stage:
            return "entered" if stage else "left"
        if stage not in self._rank:
            return "aside"
        if was not in self._rank:
            return "return"
        return "forward" if self._rank[stage] > self._rank[was] else "backward"

    def _seen(self, account: Account, change: ContactChange, was: str, stage: str) -> tuple[Leaf, ...]:
        """Why: what the contact is now, who holds the account where it is, and, where it has fallen, who is left where it was."""
        contact = {"role": change.role, "stage": change.stage or None, "counts": not change.gone}
        leaves = [Leaf(f"contact {change.customer}", holds=True, saw=contact)]
        asked = [was] if self._rank.get(stage, -1) < self._rank.get(was, -1) else []
        for name in (*asked, *([stage] if stage else [])):
            there = self._there(account, name)
            needs = next((count for each, count in self._needs if each == name), 1)
            beyond = " or beyond" if name in self._rank else ""
            saw = {"contacts": len(there)} | {customer: each.stage for customer, each in there[:SHOWN]}
            leaves.append(Leaf(f"at least {needs} in {name}{beyond}", name == stage, saw))
        return tuple(leaves)

    def _scored(self, account: Account, change: ContactChange) -> Iterable[Decision]:
        for rule in self._rules.scores:
            value, previous = self._value(account, rule), account.marks.said.get(rule.score, 0.0)
            if value == previous or abs(value - previous) < rule.min_delta:
                continue
            account.marks = msgspec.structs.replace(account.marks, said=account.marks.said | {rule.score: value})
            held = [(each.scores.get(rule.score, 0.0), name, each) for name, each in account.contacts.items()]
            held.sort(key=lambda each: (-each[0], each[1]))
            seen = (Leaf(f"contact {change.customer}", holds=True, saw={rule.score: change.scores.get(rule.score, 0.0), "counts": not change.gone}),)  # fmt: skip
            data = AccountScoreChanged(
                **self._words(change), because=self._because(change, f"account score {rule.score}", seen),
                account=account.account, score=rule.score, value=value, previous=previous,
                contributors=tuple(AccountContributor(name, each.role, points) for points, name, each in held[:CONTRIBUTORS] if points),
            )  # fmt: skip
            yield self._decide(
                change, "account.score.changed", f"account-score:{rule.score}:{previous:g}>{value:g}", data
            )

    def _value(self, account: Account, rule: RollUp) -> float:
        """The largest of the contacts' scores, or their sum in the order of their ids; 0 where nobody counts."""
        points = [each.scores.get(rule.score, 0.0) for _, each in sorted(account.contacts.items())]
        value = (max(points) if rule.by == "max" else sum(points)) if points else 0.0
        return round(value if rule.cap is None else min(value, rule.cap), 4)

    # What is said -----------------------------------------------------------------------------------------------------

    def _words(self, change: ContactChange) -> dict[str, str]:
        return {"customer": change.customer, "journey": self._journey.id, "version": self._journey.version}

    def _because(self, change: ContactChange, rule: str, seen: tuple[Leaf, ...] = ()) -> Because:
        at = isoformat(change.at)
        causes = (Cause(*change.cause),) if change.cause is not None else ()
        return Because(rule, at if change.cause is None else None, causes, seen, clock=at)

    def _decide(self, change: ContactChange, kind: Kind, trigger: str, data: Data) -> Decision:
        """Sign it: the id hangs on the account, on what it says, and on the contact's input that made it."""
        occurrence = f"{len(change.customer)}:{change.customer}|{change.occurrence}"
        journey, whose = self._journey, change.account
        number = decision_id(self._topology, journey.id, journey.major, whose, trigger, occurrence)
        return Decision(number, kind, whose, change.at, journey.id, data)

    def _compared(
        self, account: Account, change: ContactChange, before: list[Decision], after: list[Decision]
    ) -> list[Decision]:
        """Withdraw what does not hold any more, say what is new; what is in both stands."""
        was, now = {each.id for each in before}, {each.id for each in after}
        made = [self._withdraw(account, change, each) for each in before if each.id not in now]
        return made + [self._say(account, change, each) for each in after if each.id not in was]

    def _withdraw(self, account: Account, change: ContactChange, gone: Decision) -> Decision:
        out = self._retract(change, gone.id, gone.kind, gone.at, "late_event")
        account.withdrawn[gone.id] = out.id, gone.at
        return out

    def _say(self, account: Account, change: ContactChange, new: Decision) -> Decision:
        withdrawn = account.withdrawn.pop(new.id, None)
        if withdrawn is None:
            return new
        return self._retract(change, withdrawn[0], "decision.retracted", new.at, "reinstated")

    def _retract(
        self, change: ContactChange, what: str, kind: Kind, at: Instant, reason: Literal["late_event", "reinstated"]
    ) -> Decision:
        data: Any = DecisionRetracted(
            **self._words(change), because=self._because(change, "late change of a contact"), account=change.account,
            retracts=what, retracted=kind, decided_at=isoformat(at), reason=reason,
        )  # fmt: skip
        return self._decide(change, "decision.retracted", f"retracted:{what}", data)
