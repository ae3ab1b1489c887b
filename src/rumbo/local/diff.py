"""Two versions over the same history: which decisions the new one adds, takes away, moves, or makes with another content.

Both step each interaction side by side, read once. It says what would have been decided, never how people would have reacted:
the history is the one that the old decisions were part of. It keeps only what differs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, count, islice
from operator import attrgetter, itemgetter
from typing import Any, Final, Literal, NamedTuple

import msgspec

from rumbo.core.decision import Decision
from rumbo.core.instant import Instant, isoformat
from rumbo.intake import RawRecord, Reader, all_plain, reader
from rumbo.local.run import Local
from rumbo.topology import Topology

Change = Literal["added", "removed", "moved", "changed"]
CHANGES: Final[tuple[Change, ...]] = ("added", "removed", "moved", "changed")
AT_ONCE: Final = 64
"""Records that are stepped through one version before the other has its turn."""
_ASIDE: Final = frozenset({"because", "version"})
"""Parts of an output that tell of the definition, not of what was decided."""
_NAMES: Final = ("trigger", "to", "score", "segment", "flow", "stage", "retracted")
"""What a rule is called in the kinds of output; the first that an output has is its rule's name."""


class Rule(NamedTuple):
    """Whose decision it is: two decisions of one customer and one rule can be the same one, moved or changed."""

    journey: str
    kind: str
    name: str


class Side(msgspec.Struct, frozen=True):
    """One decision as a version made it."""

    id: str
    kind: str
    at: str
    gate: str | None
    data: dict[str, Any]


class Difference(msgspec.Struct, frozen=True):
    """One decision that is not the same: as it was (None: added), as it would be (None: removed), and which parts differ."""

    change: Change
    customer: str
    journey: str
    rule: str
    old: Side | None
    new: Side | None
    parts: tuple[str, ...] = ()


class Row(msgspec.Struct):
    """One rule's figures, by outcome: `emitted`, a gate, or `emitted -> cooldown` where the answer changed."""

    journey: str
    rule: str
    outcome: str
    same: int = 0
    added: int = 0
    removed: int = 0
    moved: int = 0
    changed: int = 0


class Diff(msgspec.Struct):
    """What the comparison found. `rows` are sorted by rule and outcome; `sample` has a few customers for each rule and change."""

    old: str
    new: str
    events: int
    customers: int
    rows: list[Row]
    sample: list[Difference]
    customers_with_differences: int = 0
    says: str = "what would have been decided over this history, not how people would have reacted"

    def total(self, change: str) -> int:
        """How many decisions in all were `same`, or one of `CHANGES`."""
        return sum(getattr(row, change) for row in self.rows)

    @property
    def empty(self) -> bool:
        """Whether both decide the same."""
        return not any(self.total(change) for change in CHANGES)


class Comparison:
    """Two topologies over one history."""

    def __init__(self, old: Topology, new: Topology) -> None:
        self._old, self._new = Local(old), Local(new)
        self._names = (_name(old), _name(new))
        self._readers: dict[str, tuple[Reader, Reader | None]] = {}
        self._same: Counter[tuple[Rule, str]] = Counter()
        self._left: dict[tuple[str, Rule], tuple[_Waiting, _Waiting]] = defaultdict(lambda: ({}, {}))
        self._order = count()

    def over(self, records: Iterable[RawRecord], *, until: Instant | None = None, sample: int = 2) -> Diff:
        """Step the whole history; the difference. Timers run to `until`, by default the last event's time."""
        left = iter(records)
        while some := list(islice(left, AT_ONCE)):
            self._step(some)
        return self._finish(until, sample)

    def _step(self, records: Sequence[RawRecord]) -> None:
        """Step some records through both: all through the old version, then all through the new one, so that each finds its own code at hand."""
        old, new = list[Any](), list[Any]()
        plain = all_plain(records)
        for record in records:
            read, other = self._readers.get(record.topic) or self._reader(record.topic)
            found = read(record, known_plain=plain)
            old.append(found)
            new.append(found if other is None else other(record, known_plain=plain))
        before, after = map(self._old.take, records, old), map(self._new.take, records, new)
        for was, will in zip(list(before), after, strict=True):
            if was or will:
                self._compare(was, will)

    def _reader(self, topic: str) -> tuple[Reader, Reader | None]:
        """The reader of a topic, and the new version's own where it reads otherwise."""
        old, new = (each.topology.source(topic).reading for each in (self._old, self._new))
        made = self._readers[topic] = (reader(old), None if new == old else reader(new))
        return made

    def _finish(self, until: Instant | None, sample: int) -> Diff:
        """The last timers, and what is left is told apart."""
        end = max(self._old.latest, self._new.latest) if until is None else until
        self._compare(self._old.until(end), self._new.until(end))
        found = Diff(*self._names, self._new.counts["received"], self._new.customers, [], [])
        rows: dict[tuple[Rule, str], Row] = {}
        for (rule, outcome), times in self._same.items():
            _row(rows, rule, outcome).same = times
        shown = defaultdict[tuple[Rule, str, Change], set[str]](set)
        customers = set[str]()
        for (customer, rule), (before, after) in sorted(self._left.items()):
            for change, was, will in pairs(chain(*before.values()), chain(*after.values())):
                outcome = _outcome(was, will)
                row = _row(rows, rule, outcome)
                setattr(row, change, getattr(row, change) + 1)
                customers.add(customer)
                who = shown[rule, outcome, change]
                if len(who) < sample and customer not in who:
                    who.add(customer)
                    found.sample.append(_difference(change, customer, rule, was, will))
        found.rows = [rows[key] for key in sorted(rows)]
        found.customers_with_differences = len(customers)
        return found

    def _compare(self, before: list[Decision], after: list[Decision]) -> None:
        """Take away what is on both sides; keep the rest."""
        if len(before) == len(after) and all(map(alike, before, after)):
            for each in after:
                self._same[rule_of(each), _gate(each)] += 1
            return
        for side, decisions in enumerate((before, after)):
            for each in decisions:
                self._keep(_Kept.of(each, next(self._order)), side)

    def _keep(self, kept: _Kept, side: int) -> None:
        """Hold one that the other side has not decided, unless it has by now."""
        left = self._left[kept.customer, kept.rule]
        other = left[1 - side].get(kept.key)
        if other:
            other.pop()
            self._same[kept.rule, kept.gate] += 1
        else:
            left[side].setdefault(kept.key, []).append(kept)


_Key = tuple[str, Rule, str, Instant, bytes]
"""Two decisions with the same key are the same: customer, rule, kind, instant, content."""


class _Kept(NamedTuple):
    """A decision that waits for its like: no larger than it must be."""

    key: _Key
    order: int
    id: str
    encoded: bytes

    @classmethod
    def of(cls, decision: Decision, order: int) -> _Kept:
        said = msgspec.to_builtins(decision.data)
        content = msgspec.json.encode({name: value for name, value in said.items() if name not in _ASIDE})
        key = (decision.customer, rule_of(decision), decision.kind, decision.at, content)
        return cls(key, order, decision.id, msgspec.json.encode(said))

    @property
    def customer(self) -> str:
        return self.key[0]

    @property
    def rule(self) -> Rule:
        return self.key[1]

    @property
    def at(self) -> Instant:
        return self.key[3]

    @property
    def gate(self) -> str:
        said = msgspec.json.decode(self.key[4])
        return said.get("gate", "emitted") if self.key[2].startswith("action.") else ""

    def side(self) -> Side:
        said = msgspec.json.decode(self.encoded)
        return Side(self.id, self.key[2], isoformat(self.at), said.get("gate"), said)


_Waiting = dict[_Key, list[_Kept]]


def alike(left: Decision, right: Decision) -> bool:
    """Whether two decisions are the same one: only their ids, versions and explanations may differ."""
    if (
        left.at != right.at
        or left.kind != right.kind
        or left.customer != right.customer
        or left.journey != right.journey
    ):
        return False
    kind: Any = type(left.data)
    said = _said(kind)
    return bool(said(left.data) == said(right.data))


@cache
def _said(kind: Any) -> Callable[[Any], Any]:
    """Reads of one kind of output all that was decided."""
    return attrgetter(*(name for name in kind.__struct_fields__ if name not in _ASIDE))


@cache
def _named(kind: Any) -> str | None:
    """Which part of one kind of output names its rule."""
    return next((name for name in _NAMES if name in kind.__struct_fields__), None)


def rule_of(decision: Decision) -> Rule:
    """The rule that decided. Actions that were asked for and actions that were held back are of one rule."""
    data = decision.data
    sort: Any = type(data)
    named = _named(sort)
    name = str(getattr(data, named)) if named is not None else ""
    kind = "trigger" if decision.kind.startswith("action.") else decision.kind
    return Rule(decision.journey, "stage" if kind == "stage.changed" else kind.removesuffix(".changed"), name)


def _gate(decision: Decision) -> str:
    return getattr(decision.data, "gate", "emitted") if decision.kind.startswith("action.") else ""


def pairs(before: Iterable[_Kept], after: Iterable[_Kept]) -> Iterator[tuple[Change, _Kept | None, _Kept | None]]:
    """Tell apart what is left of one customer and rule.

    Two at the same instant are one that changed. Of the others, an old and a new one that are neighbours in time (none of
    either side between them) are one that moved; who has no neighbour left was removed or added.
    """
    new = defaultdict[Instant, list[_Kept]](list)
    for each in sorted(after, key=_when):
        new[each.at].append(each)
    line: list[tuple[Instant, int, _Kept]] = []
    for was in sorted(before, key=_when):
        if new[was.at]:
            yield "changed", was, new[was.at].pop(0)
        else:
            line.append((was.at, 0, was))
    line += [(at, 1, each) for at, here in new.items() for each in here]
    waiting: tuple[int, _Kept] | None = None
    for _, side, each in sorted(line, key=itemgetter(0, 1)):
        if waiting is not None and waiting[0] != side:
            yield "moved", *((waiting[1], each) if side else (each, waiting[1]))
            waiting = None
            continue
        if waiting is not None:
            yield _alone(*waiting)
        waiting = (side, each)
    if waiting is not None:
        yield _alone(*waiting)


def _alone(side: int, kept: _Kept) -> tuple[Change, _Kept | None, _Kept | None]:
    return ("added", None, kept) if side else ("removed", kept, None)


def _when(kept: _Kept) -> tuple[Instant, int]:
    return kept.at, kept.order


def _outcome(was: _Kept | None, will: _Kept | None) -> str:
    gates = dict.fromkeys(each.gate for each in (was, will) if each is not None)
    return " -> ".join(gates)


def _row(rows: dict[tuple[Rule, str], Row], rule: Rule, outcome: str) -> Row:
    return rows.setdefault((rule, outcome), Row(rule.journey, f"{rule.kind} {rule.name}".strip(), outcome))


def _difference(change: Change, customer: str, rule: Rule, was: _Kept | None, will: _Kept | None) -> Difference:
    old, new = was.side() if was is not None else None, will.side() if will is not None else None
    parts: tuple[str, ...] = ()
    if old is not None and new is not None:
        names = dict.fromkeys((*old.data, *new.data))
        differ = [name for name in names if name not in _ASIDE and old.data.get(name) != new.data.get(name)]
        parts = (*(["at"] if old.at != new.at else []), *differ)
    return Difference(change, customer, rule.journey, f"{rule.kind} {rule.name}".strip(), old, new, parts)


def _name(topology: Topology) -> str:
    return f"{topology.name} {', '.join(f'{each.id} {each.version}' for each in topology.journeys)}"


def compare(
    old: Topology, new: Topology, records: Iterable[RawRecord], *, until: Instant | None = None, sample: int = 2
) -> Diff:
    """Run a history through two topologies at once."""
    return Comparison(old, new).over(records, until=until, sample=sample)
