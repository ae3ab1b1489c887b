"""What must be true when all is read and quiet again: everything that can be seen equals the fold of the pure core over the input topic.

It knows nothing of the faults. It reads Kafka with a client of its own, the stores when their owners are gone, and the worker over HTTP.
"""

from __future__ import annotations

import http.client
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from kafka import KafkaConsumer, TopicPartition

from benchmarks.generate import murmur2
from rumbo.core import profile as profiles
from rumbo.core.instant import Instant, isoformat, parse_instant
from rumbo.core.interaction import Interaction
from rumbo.core.profile import DUE_BYTES, Profile
from rumbo.core.repeats import ENTRY, fingerprint, of_earlier
from rumbo.engine import position as record
from rumbo.engine.broker import changelog_of, needed
from rumbo.engine.position import Position
from rumbo.engine.store import POSITION_KEY, Memory, Store
from rumbo.intake import Record, reader
from rumbo.local import Local
from rumbo.local.view import profile_view
from rumbo.output import Encoder
from tests.broker.bench import PARTITIONS, Bench, Worker

EXAMPLES = 5
END_OF_TIME: Instant = 2**62


@dataclass
class Verdict:
    """How much was looked at, and how much of it was wrong: every figure of the second part must be 0."""

    records: int = 0
    decisions: int = 0
    keys: int = 0
    served: int = 0
    """Customers asked for over HTTP."""
    transactions: int = 0
    """Progress records, each of one committed transaction."""
    aborted: int = 0
    """Decisions that only a reader of uncommitted data sees, again or at all."""
    lost: int = 0
    phantom: int = 0
    twice: int = 0
    disorder: int = 0
    """Customers whose decisions on a topic are not in the order in which they were decided."""
    letters: int = 0
    """Dead letters missing, too many, or of another record."""
    on_disk: int = 0
    in_changelog: int = 0
    over_http: int = 0
    """Keys whose value on disk (with its entry in the timer index), in the changelog alone, or as served, is another one."""
    unaccounted: int = 0
    """Records that no transaction has taken, or that two have; and records with no fate, or with two."""
    foreign: int = 0
    """Ids in uncommitted data that the input does not give."""
    hanging: int = 0
    """Partitions whose stable offset is not their end."""
    said: list[str] = field(default_factory=list)
    """Some of what was wrong."""

    WRONG = (
        "lost",
        "phantom",
        "twice",
        "disorder",
        "letters",
        "on_disk",
        "in_changelog",
        "over_http",
        "unaccounted",
        "foreign",
        "hanging",
    )

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        return not any(getattr(self, name) for name in self.WRONG)

    def row(self) -> dict[str, Any]:
        """As evidence."""
        return {name: value for name, value in asdict(self).items() if name != "said" or value}

    def wrong(self, name: str, each: Iterable[object]) -> None:
        """Note what was wrong."""
        found = [str(one) for one in each]
        setattr(self, name, getattr(self, name) + len(found))
        self.said += [f"{name}: {one[:400]}" for one in found[: max(0, EXAMPLES)]]


@dataclass
class Expected:
    """The fold."""

    profiles: dict[tuple[int, str], Profile] = field(default_factory=dict)
    """(partition, customer) -> profile."""
    order: dict[tuple[str, int, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    """(topic, partition, customer) -> decision ids as decided."""
    rejected: Counter[tuple[int, int]] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    records: dict[int, list[int]] = field(default_factory=dict)
    """Partition -> offsets of what is committed in the input."""
    hashed: dict[bytes, bytes] = field(default_factory=dict)
    """What is kept of an id, and what formats 1 to 3 kept of it."""
    clocks: list[str] = field(default_factory=list)
    """Where a clock is not what the events and the clock records make it."""

    @property
    def ids(self) -> set[str]:
        """Every decision."""
        return {each for found in self.order.values() for each in found}


def fold(bench: Bench) -> Expected:
    """The pure core over the input topic as it is, in the order of the progress records, up to where they end; and what they say of time, checked."""
    found, encoder = Expected(), Encoder(bench.topology.outputs, bench.topology.mode)
    inputs, progress = (
        _by_partition(bench.read(bench.source)),
        _by_partition(bench.read(bench.topology.outputs.progress)),
    )
    controls = _by_partition(bench.read(bench.topology.outputs.control))
    read = reader(bench.topology.source(bench.source).reading)
    for number, records in inputs.items():
        found.records[number] = [each.offset for each in records]

        def refused(raw: Any, _: object, number: int = number) -> None:
            found.rejected[number, raw.offset] += 1

        local = Local(bench.topology, rejected=refused)
        for each in progress[number]:
            said = json.loads(each.value)
            decisions = []
            for topic, (begin, end) in said["sources"].items():
                for one in records if topic == bench.source else controls[number]:
                    if begin <= one.offset < end:
                        taken = Record(topic, number, one.offset, one.timestamp, one.key, one.value, tuple(one.headers))
                        decisions += local.send(taken)
                        if topic == bench.source and isinstance(event := read(taken), Interaction):
                            found.hashed[fingerprint(event)] = of_earlier(event)
            clock = max(local.clock(number), 0)
            if parse_instant(said["clock"]) != clock and said["sources"]:
                found.clocks.append(
                    f"partition {number}, progress at {each.offset}: {said['clock']}, not {isoformat(clock)}"
                )
            for one in decisions:
                found.order[encoder(one).topic, number, one.customer].append(one.id)
        local.counts.update(local.program.stats)
        found.profiles |= {(number, name): each for name, each in local.profiles.items()}
        found.fates += local.counts
    return found


def _by_partition(records: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for each in sorted(records, key=lambda each: each.offset):
        found[each.partition].append(each)
    return found


def judge(bench: Bench, states: Iterable[Path], served: Mapping[str, Any], *, repeats: bool = False) -> Verdict:  # fmt: skip
    """The whole oracle, when every worker is gone. *served*: what the workers answered for customers while all was quiet.

    *repeats*: whether a producer repeated records on purpose; where not, a repeat would hide a record read twice.
    """
    expected, verdict = fold(bench), Verdict()
    verdict.records = sum(len(each) for each in expected.records.values())
    verdict.keys, verdict.served = len(expected.profiles), len(served)
    changelog = {(each.partition, each.key): each.value for each in bench.read(changelog_of(bench.topology))}
    positions = {number: record.load(changelog.get((number, POSITION_KEY))) for number in range(PARTITIONS)}
    _outputs(bench, expected, verdict)
    _letters(bench, expected, verdict)
    _state(bench, expected, verdict, changelog, states)
    _views(bench, expected, verdict, positions, served)
    _accounts(bench, expected, verdict, positions)
    met = expected.fates["duplicate"] + expected.fates["duplicate_conflict"]
    if met and not repeats:
        verdict.wrong("unaccounted", [f"{met} repeats of the producer would hide a record read twice"])
    _stable(bench, verdict)
    return verdict


def _outputs(bench: Bench, expected: Expected, verdict: Verdict) -> None:
    ids, written, order = expected.ids, Counter[str](), defaultdict(list)
    places: dict[str, list[str]] = defaultdict(list)
    everything: set[str] = set()
    for topic in bench.topology.outputs.decisions:
        for each in bench.read(topic):
            said = json.loads(each.value)
            written[said["id"]] += 1
            places[said["id"]].append(f"{topic}-{each.partition}@{each.offset}")
            order[topic, each.partition, said["subject"]].append(said["id"])
        dirty = [(json.loads(each.value)["id"], each) for each in bench.read(topic, committed=False)]
        for number, each in dirty:
            if f"{topic}-{each.partition}@{each.offset}" not in places[number]:
                places[number].append(f"{topic}-{each.partition}@{each.offset} (not committed)")
        everything |= {number for number, _ in dirty}
        verdict.aborted += len(dirty)
    verdict.aborted -= written.total()
    verdict.decisions = len(ids)
    verdict.wrong("lost", sorted(ids - written.keys()))
    verdict.wrong("phantom", sorted(written.keys() - ids))
    verdict.wrong("twice", sorted(f"{key} at {places[key]}" for key, count in written.items() if count > 1))
    verdict.wrong("foreign", sorted(everything - ids))
    firsts = {place: list(dict.fromkeys(found)) for place, found in order.items()}
    verdict.wrong(
        "disorder",
        (
            place
            for place, found in firsts.items()
            if found != [each for each in expected.order[place] if each in set(found)]
        ),
    )


def _letters(bench: Bench, expected: Expected, verdict: Verdict) -> None:
    found: Counter[tuple[int, int]] = Counter()
    for each in bench.read(f"{bench.source}.dlq"):
        headers = dict(each.headers)
        found[int(headers["dlq.partition"]), int(headers["dlq.offset"])] += 1
    verdict.wrong("letters", [*(expected.rejected - found), *(found - expected.rejected)])


def _value(value: bytes, want: Profile | None, hashed: Mapping[bytes, bytes]) -> Profile:
    """A profile as a value: the order of keys within one says nothing, nor does which version has hashed an id."""
    found = profiles.load(value[DUE_BYTES:])
    ids = len(found.older)
    if want is not None and ids and found.older == _by_earlier(want.ring[:ids], hashed):
        found.ring, found.older = want.ring[:ids] + found.ring, b""
    return found


def _by_earlier(ring: bytes, hashed: Mapping[bytes, bytes]) -> bytes:
    return b"".join(hashed.get(ring[at : at + ENTRY], b"") for at in range(0, len(ring), ENTRY))


def _state(bench: Bench, expected: Expected, verdict: Verdict, changelog: Mapping[tuple[int, bytes], bytes | None], states: Iterable[Path]) -> None:  # fmt: skip
    want = {name: profiles.load(profiles.dump(each)) for name, each in expected.profiles.items()}

    def value(number: int, key: bytes, found: bytes) -> tuple[tuple[int, str], Profile]:
        name = number, key.decode()
        return name, _value(found, want.get(name), expected.hashed)

    from_changelog = dict(
        value(number, key[1:], found) for (number, key), found in changelog.items() if key[:1] == b"p" and found
    )
    verdict.wrong("in_changelog", _different(want, from_changelog))
    disk: dict[tuple[int, str], Profile] = {}
    memory = Memory(8)
    for number, folder in newest(bench, states, memory).items():
        store = Store.open(folder, owner(bench, number), memory)
        here = dict(store.profiles())
        waiting = {customer: due for due, customer in store.due(END_OF_TIME, 1_000_000)}
        due = {name: int.from_bytes(found[:DUE_BYTES], "big") for name, found in here.items()}
        verdict.wrong("on_disk", _different({k: v for k, v in due.items() if v}, waiting))
        if store.position() != changelog.get((number, POSITION_KEY)):
            verdict.wrong("on_disk", [f"the position of partition {number}"])
        disk |= dict(value(number, name, found) for name, found in here.items())
        store.close()
    verdict.wrong("on_disk", _different(want, disk))


def owner(bench: Bench, number: int) -> str:
    """What a store of this topology says it is."""
    return f"{bench.topology.name}/profiles/{number}/{PARTITIONS}"


def newest(bench: Bench, states: Iterable[Path], memory: Memory) -> dict[int, Path]:
    """The store of each partition that has seen most of its changelog: one that was given away is older."""
    found: dict[int, tuple[int, Path]] = {}
    for folder in (each for state in states for each in state.glob("*/profiles-*") if "corrupt" not in each.name):
        number = int(folder.name.rsplit("-", 1)[1])
        store = Store.open(folder, owner(bench, number), memory)
        seen = store.changelog_next
        store.close()
        if number not in found or seen > found[number][0]:
            found[number] = seen, folder
    return {number: folder for number, (_, folder) in found.items()}


def _different(want: Mapping[Any, Any], found: Mapping[Any, Any]) -> list[str]:
    return [
        f"{key}: {_short(want.get(key))} is {_short(found.get(key))}"
        for key in {**want, **found}
        if want.get(key) != found.get(key)
    ]


def _short(value: object) -> str:
    return "not there" if value is None else repr(value)[:90]


def _views(bench: Bench, expected: Expected, verdict: Verdict, positions: Mapping[int, Position], served: Mapping[str, Any]) -> None:  # fmt: skip
    program = bench.topology.program()
    want = {}
    for name in served:
        home = murmur2(name.encode()) % PARTITIONS
        places = [each for each in (home, *range(PARTITIONS)) if (each, name) in expected.profiles]
        if places:  # a producer may have put it elsewhere
            profile, clock = expected.profiles[places[0], name], positions[places[0]].clock
            again = program.load(name, profiles.dump(profile))
            want[name] = json.loads(msgspec.json.encode(profile_view(again, program, clock)))
    verdict.wrong("over_http", _different(want, served))


def _accounts(bench: Bench, expected: Expected, verdict: Verdict, positions: Mapping[int, Position]) -> None:
    """Each record has one fate, and was taken by one transaction: what the progress records took lies end to end, and ends at the position."""
    fates = sum(
        count
        for name, count in expected.fates.items()
        if name in {"processed", "skipped"} or name.startswith("rejected.")
    )
    verdict.wrong("unaccounted", expected.clocks)
    if fates != verdict.records:
        verdict.wrong("unaccounted", [f"{verdict.records} records and {fates} fates"])
    at = dict.fromkeys(range(PARTITIONS), 0)
    for each in sorted(bench.read(bench.topology.outputs.progress), key=lambda each: (each.partition, each.offset)):
        verdict.transactions += 1
        said = json.loads(each.value)["sources"].get(bench.source)
        if said is not None:
            begin, end = said
            if begin != at[each.partition]:
                verdict.wrong(
                    "unaccounted", [f"partition {each.partition}: taken to {at[each.partition]}, then from {begin}"]
                )
            at[each.partition] = end
    for number, position in positions.items():
        source = position.sources.get(bench.source)
        next_ = source.next if source is not None else 0
        last = max(expected.records.get(number, [-1]))
        if at[number] != next_ or next_ <= last:
            verdict.wrong(
                "unaccounted", [f"partition {number}: progress to {at[number]}, position {next_}, last record {last}"]
            )


def _stable(bench: Bench, verdict: Verdict) -> None:
    """No transaction hangs: every topic can be read to its end."""
    topics = [each.name for each in needed(bench.topology, PARTITIONS)]
    ends = []
    for isolation in ("read_committed", "read_uncommitted"):
        consumer = KafkaConsumer(bootstrap_servers=bench.bootstrap, isolation_level=isolation, enable_auto_commit=False)
        ends.append(
            consumer.end_offsets([TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)])
        )
        consumer.close()
    verdict.wrong("hanging", (place for place, end in ends[1].items() if ends[0][place] != end))


def ask(worker: Worker, names: Iterable[str]) -> dict[str, Any]:
    """What a worker (or, through it, its neighbour) says of each customer; of none that it did not come to, where it has ended by itself."""
    found: dict[str, Any] = {}
    with worker.inside(), suppress(ConnectionError):
        connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=10)
        for name in names:
            connection.request("GET", f"/v1/customers/{quote(name, safe='')}")
            answer = connection.getresponse()
            body = answer.read()
            found[name] = json.loads(body) if answer.status == 200 else {"status": answer.status}
        connection.close()
    return found
