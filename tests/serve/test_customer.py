"""One customer over HTTP: what is stored and no more, at a bounded cost, and a proper no for everything else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import tally as counts
from rumbo.core.tally import Tally, dwell_bin, funnel, median
from rumbo.engine.notes import TALLY_KEY
from rumbo.local import Local, profile_view
from rumbo.serve.retracted import retracted
from rumbo.serve.state import Entry
from tests.serve.worker import START, Worker, run

BASKET = {"total": 30.0}


@pytest.fixture
def worker(tmp_path):
    made = Worker(tmp_path)
    yield made
    made.close()


def journalled(kept):
    return lambda topology: msgspec.structs.replace(topology, journal=kept)


async def asked(session, path, status=200):
    """The JSON of an answer; a refusal must be a problem document that says its own status."""
    async with session.get(path) as answer:
        said = await answer.json(content_type=None)
        assert answer.status == status, said
        if status != 200:
            assert answer.content_type == "application/problem+json"
            assert said["status"] == status
            assert "Traceback" not in str(said)
        return said


def test_a_customer_is_shown_as_stored_with_scores_read_at_the_partitions_clock(worker):
    """The stage with its high-water, the score decayed to now and who made it, what is due next."""

    async def look():
        await worker.hear(*(("h-1", "Order Completed", day, BASKET) for day in range(6)))
        await worker.until(10)
        async with worker.served() as session:
            return await asked(session, "/v1/customers/h-1")

    said = run(look())
    mine = said["journeys"]["grocery"]
    assert (mine["stage"], mine["high_water"]) == ("regular", "regular")
    assert [visit["stage"] for visit in mine["history"]] == ["prospect", "shopper", "regular"]
    assert said["events"] == 6
    assert said["as_of"] == "2026-01-11T00:00:00Z"
    expected = sum(3.0 * 2 ** (-(10 - day) / 30) for day in range(6))
    assert mine["scores"]["engagement"]["value"] == pytest.approx(expected, abs=1e-3)
    assert mine["scores"]["engagement"]["contributors"][0]["rule"] == "basket"
    assert next(iter(said["timers"])) == "absent:grocery:lapse_coming"


def test_a_customers_last_survey_answers_are_shown_with_their_class_and_the_stages_before(tmp_path):
    """As the topology says which event is an answer; one outside of the scale is none."""
    worker = Worker(tmp_path, "topologies/saas")

    async def look():
        said = {"survey": "relationship", "score": 9, "comment": "fast"}
        await worker.hear(("u-1", "Asset Downloaded", 0), ("u-1", "Survey Answered", 1, said))
        await worker.hear(("u-1", "Survey Answered", 2, {"survey": "relationship", "score": 11}))
        async with worker.served() as session:
            return (await asked(session, "/v1/customers/u-1"))["answers"]

    (shown,) = run(look())
    worker.close()
    assert [each["stage"] for each in shown.pop("path")["saas"]] == ["awareness", "consideration"]
    assert shown.pop("event")
    expected = {"survey": "relationship", "kind": "nps", "score": 9, "class": "promoter", "comment": "fast"}
    assert shown == expected | {"at": "2026-01-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nobody", 404),
        (quote("a/b", safe=""), 404),  # a customer may be called so; this one is not known
        ("a/b", 404),
        (quote("a\x00b"), 400),
        (quote("a\nb"), 400),
        ("x" * 257, 400),
        ("x" * 10_000, 400),
        ("%FF%FE", 404),
        ("", 404),
    ],
)
def test_an_id_that_cannot_be_is_a_problem_document(worker, path, status):
    """Never a stack trace, never a hang, whatever stands in the path."""

    async def look():
        async with worker.served() as session:
            for what in ("", "/timeline", "/decisions"):
                said = await asked(session, f"/v1/customers/{path}{what}", status)
                assert said["title"]

    run(asyncio.wait_for(look(), 10))


def test_an_id_with_a_slash_is_found(worker):
    """Producers call their customers what they like."""

    async def look():
        await worker.hear(("shop/1 ü", "Order Completed", 0, BASKET))
        async with worker.served() as session:
            return await asked(session, "/v1/customers/" + quote("shop/1 ü", safe=""))

    assert run(look())["customer"] == "shop/1 ü"


def test_what_is_shown_is_what_local_knows(worker):
    """The engine's committed profile and the core without a broker, read by the same eyes."""
    events = [(f"h-{n % 7}", "Order Completed", n / 3, {"total": float(n)}) for n in range(60)]

    async def look():
        await worker.hear(*events)
        await worker.until(19.9)
        async with worker.served() as session:
            return {f"h-{n}": await asked(session, f"/v1/customers/h-{n}") for n in range(7)}

    shown = run(look())
    local = Local(worker.topology)
    for _, key, value in worker.producer.written:
        if key.startswith(b"p"):
            profile = local.program.load(key[1:].decode(), value[8:])
            local_view = profile_view(profile, local.program, START + round(19.9 * 86_400_000_000))
            expected = msgspec.json.decode(msgspec.json.encode(local_view))  # the last one written of each counts
            if profile.events == shown[profile.customer]["events"]:
                assert shown[profile.customer] == expected


def test_without_a_worker_that_owns_it_it_is_not_now_and_soon(worker):
    """Recovering, or on its way from one worker to the next: 503 with a time to come back, never another worker's old state."""

    async def look():
        worker.carrier.recovered.clear()
        async with worker.served() as session, session.get("/v1/customers/h-1") as answer:
            return answer.status, answer.headers.get("Retry-After"), await answer.json(content_type=None)

    status, retry, said = run(look())
    assert (status, retry) == (503, "1")
    assert said["retry_after"] == 1


# Timeline -------------------------------------------------------------------------------------------------------------


def test_the_timeline_holds_each_interaction_with_what_came_of_it_and_survives_a_restart(tmp_path):
    """Timers that came due stand between the interactions, and the reasons are the ones that were written."""
    worker = Worker(tmp_path, edit=journalled(10))

    async def look():
        await worker.hear(*(("h-1", "Order Completed", day, BASKET) for day in range(6)))
        await worker.until(40)
        await worker.hear(("h-1", "Campaign Received", 41), ("h-1", "Order Completed", 42, {"total": 150.0}))
        worker.close()
        worker.open()
        async with worker.served() as session:
            return (
                await asked(session, "/v1/customers/h-1/timeline"),
                await asked(session, "/v1/customers/h-1/decisions"),
            )

    timeline, decisions = run(look())
    worker.close()
    names = [entry["name"] for entry in timeline["entries"]]
    assert names == ["Order Completed", "Campaign Received", None, None] + ["Order Completed"] * 6
    kinds = [[each["type"].split(".")[2:4] for each in entry["decisions"]] for entry in timeline["entries"]]
    assert kinds[2] == [["stage", "changed"]]
    assert timeline["entries"][2]["at"] == "2026-02-03T00:00:00Z"
    assert timeline["entries"][2]["decisions"][0]["data"]["because"]["conditions"]
    flat = [each["id"] for entry in timeline["entries"] for each in reversed(entry["decisions"])]
    assert [each["id"] for each in decisions["decisions"]] == flat
    assert len(set(flat)) == len(flat) > 5


@settings(max_examples=15)
@given(st.lists(st.sampled_from(["Order Completed", "Campaign Received"]), max_size=40), st.integers(1, 6))
def test_a_journal_keeps_the_last_of_each_kind_and_no_more(tmp_path_factory, names, kept):
    """Interactions on which nothing was decided never push out those on which something was."""
    worker = Worker(tmp_path_factory.mktemp("journal"), edit=journalled(kept))

    async def look():
        for day, name in enumerate(names):
            await worker.hear(("h-1", name, day, {"total": 200.0}))
        return worker.window.journal("h-1")

    entries = run(look())
    rows = sum(1 for key, _ in _rows(worker) if key.startswith(b"jh-1\0") and key != b"jh-1\0")
    worker.close()
    quiet = [entry for entry in entries if not entry.decisions]
    told = [entry for entry in entries if entry.decisions]
    assert len(quiet) <= kept
    assert len(told) <= kept
    assert rows == len(entries)
    assert [entry.order for entry in entries] == sorted((entry.order for entry in entries), reverse=True)
    campaigns = [day for day, name in enumerate(names) if name == "Campaign Received"]
    assert [entry.at for entry in quiet if entry.name == "Campaign Received"] == [
        START + day * 86_400_000_000 for day in reversed(campaigns)
    ][: len([entry for entry in quiet if entry.name == "Campaign Received"])]


def _rows(worker):
    """Every row of every store."""
    for each in worker.workers.values():
        each.store.flush()
        cursor = each.store._db.iter()
        cursor.seek(b"j")
        while cursor.valid():
            yield cursor.key(), cursor.value()
            cursor.next()


def test_a_topology_that_keeps_no_journal_says_so_and_writes_none(tmp_path):
    """It is asked for in the topology, because it costs."""
    worker = Worker(tmp_path, edit=journalled(0))

    async def look():
        await worker.hear(("h-1", "Order Completed", 0, BASKET))
        async with worker.served() as session:
            return await asked(session, "/v1/customers/h-1/timeline")

    said = run(look())
    assert (said["kept"], said["entries"]) == (0, [])
    assert not any(key.startswith(b"j") for _, key, _ in worker.producer.written)
    worker.close()


# Funnel ---------------------------------------------------------------------------------------------------------------


@dataclass
class Counted:
    """A funnel counted from the profiles themselves."""

    now: dict
    reached: dict


def counted(worker):
    """By brute force, from every profile on disk."""
    journey = worker.topology.journeys[0]
    ordered = [stage.name for stage in journey.stages if not stage.side]
    now, reached = dict.fromkeys((stage.name for stage in journey.stages), 0), dict.fromkeys(ordered, 0)
    for each in worker.workers.values():
        for customer, value in each.store.profiles():
            state = worker.stage.program.load(customer.decode(), value[8:]).journeys[journey.id]
            now[state.stage] += 1
            for name in ordered[: ordered.index(state.high_water) + 1]:
                reached[name] += 1
    return Counted(now, reached)


histories = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(["Order Completed", "Campaign Received"]), st.integers(0, 40)),
    max_size=60,
)


@settings(max_examples=15)
@given(histories, st.booleans())
def test_the_funnel_is_what_the_profiles_say(tmp_path_factory, history, restarted):
    """Whatever moves, forward, aside or back, in one batch or many, through a restart: kept counts equal a count of everybody."""
    worker = Worker(tmp_path_factory.mktemp("funnel"))

    async def play():
        day = 0.0
        for at, (who, name, days) in enumerate(history):
            day += days
            await worker.hear((who, name, day), (who, name, day + 0.5))
            if at % 3 == 0:
                await worker.until(day + 1)
                day += 1
            if restarted and at == len(history) // 2:
                worker.close()
                worker.open()

    run(play())
    found, journey = counted(worker), worker.topology.journeys[0]
    made = funnel(journey, worker.window.tally())
    assert {each.stage: each.now for each in made} == found.now
    assert {each.stage: each.reached for each in made if not each.side} == found.reached
    for each in worker.workers.values():  # a store from before there were tallies is counted anew
        each.store.write([(TALLY_KEY, None)], [], 1)
    worker.close()
    worker.open()
    again = funnel(journey, worker.window.tally())
    assert [(each.stage, each.now, each.reached) for each in again] == [
        (each.stage, each.now, each.reached) for each in made
    ]
    worker.close()


def test_the_funnel_and_the_moves_over_http(worker):
    """Conversion of those before, the median stay, moves backwards and aside by name."""

    async def look():
        await worker.hear(*((f"h-{n}", "Order Completed", 0, BASKET) for n in range(8)))
        await worker.hear(*(("h-1", "Order Completed", day, BASKET) for day in range(1, 6)))
        await worker.hear(("h-20", "Campaign Received", 5))
        await worker.until(60)
        await worker.hear(("h-1", "Order Completed", 61, BASKET))
        async with worker.served() as session:
            await asked(session, "/v1/journeys/nothing/funnel", 404)
            return (
                await asked(session, "/v1/journeys/grocery/funnel"),
                await asked(session, "/v1/journeys/grocery/moves"),
                await asked(session, "/v1/journeys"),
                await asked(session, "/v1/status"),
            )

    said, moved, journeys, status = run(look())
    stages = {each["stage"]: each for each in said["stages"]}
    assert said["customers"] == 9
    assert said["complete"] is True
    assert stages["shopper"]["reached"] == 8
    assert stages["shopper"]["conversion"] == pytest.approx(8 / 9, abs=1e-4)
    assert stages["lapsed"]["now"] == 7
    assert stages["regular"]["median_dwell_seconds"] == pytest.approx(28 * 86_400, rel=0.1)
    flows = {(each["from"], each["to"]): each for each in moved["moves"]}
    assert flows["shopper", "lapsed"]["direction"] == "aside"
    assert flows["lapsed", "shopper"] == {"from": "lapsed", "to": "shopper", "moves": 1, "direction": "return"}
    assert [each["journey"] for each in journeys["journeys"]] == ["grocery"]
    assert status["interactions"] == 15


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=50))
def test_a_median_of_bins_is_right_within_nine_percent(stays):
    """Bins of a quarter of a doubling."""
    bins = {}
    for seconds in stays:
        bins[dwell_bin(seconds)] = bins.get(dwell_bin(seconds), 0) + 1
    true = sorted(stays)[(len(stays) + 1) // 2 - 1]
    found = median(bins)
    assert (found == 0.0 and true < 1) or abs(found - true) <= 0.0906 * true + 5e-4  # it is rounded to a thousandth


@given(st.lists(histories.map(len), max_size=4))
def test_tallies_add_up_in_any_order(numbers):
    """Workers are asked in any order."""
    parts = []
    for number in numbers:
        part = Tally(customers=number)
        part.stands("j", "first", "second", "second")
        parts.append(part)
    assert counts.dump(counts.total(parts)) == counts.dump(counts.total(reversed(parts)))


# Under load -----------------------------------------------------------------------------------------------------------


class Held:
    """A producer whose transactions end when they are let."""

    def __init__(self, inner):
        self._inner, self.reached, self.go = inner, asyncio.Event(), asyncio.Event()

    async def commit(self, everything):
        committed = await self._inner.commit(everything)
        self.reached.set()
        await self.go.wait()
        return committed


def test_nothing_is_shown_before_it_is_committed(worker):
    """While the transaction of a batch is under way: profile, clock, timeline, funnel and status are those of the last commit, all together."""
    paths = ("customers/h-1", "customers/h-1/timeline", "journeys/grocery/funnel", "journeys/grocery/moves", "status")

    async def look():
        await worker.hear(("h-1", "Order Completed", 0, BASKET))
        held = Held(worker.producer)
        async with worker.served() as session:

            async def seen():
                return [await asked(session, f"/v1/{path}") for path in paths]

            before = await seen()
            for each in worker.workers.values():
                each.producer = held
            batch = asyncio.ensure_future(
                worker.hear(*(("h-1", "Order Completed", day, BASKET) for day in range(1, 6)))
            )
            await held.reached.wait()
            during = await seen()
            held.go.set()
            await batch
            return before, during, await seen()

    before, during, after = run(asyncio.wait_for(look(), 20))
    assert during == before
    assert [each for each, then in zip(after, before, strict=True) if each == then] == []


def test_no_request_waits_for_a_whole_batch(worker):
    """One of a customer whose partition is in the middle of a large batch is answered between two pieces of it."""

    async def look():
        await worker.hear(("h-1", "Order Completed", 0, BASKET))
        async with worker.served() as session:
            await asked(session, "/v1/customers/h-1")
            heard = [("h-1", "Order Completed", 1 + at / 10_000, BASKET) for at in range(6_000)]
            batch = asyncio.ensure_future(worker.hear(*heard))
            await asyncio.sleep(0)  # it has begun
            said = await asked(session, "/v1/customers/h-1")
            assert not batch.done()
            await batch
            return said, await asked(session, "/v1/customers/h-1")

    said, after = run(asyncio.wait_for(look(), 60))
    assert (said["events"], after["events"]) == (1, 6_001)


# Late events ----------------------------------------------------------------------------------------------------------


def test_what_a_late_event_has_withdrawn_is_shown_as_such(tmp_path):
    """In the timeline and among the decisions: by which retraction, why, of when. What holds is not marked."""
    worker = Worker(tmp_path, "topologies/outreach", edit=journalled(10))

    async def look():
        await worker.hear(("u-1", "Product Added", 0.5, {"cart_id": "c1"}))
        await worker.until(0.6)
        await worker.hear(("u-1", "Order Completed", 0.52))
        async with worker.served() as session:
            return (
                await asked(session, "/v1/customers/u-1/timeline"),
                await asked(session, "/v1/customers/u-1/decisions"),
            )

    timeline, decisions = run(look())
    worker.close()
    made = {each["id"]: each for each in decisions["decisions"]}
    (action,) = [each["id"] for each in made.values() if each["type"] == "io.rumbo.action.suppressed.v1"]
    (withdrawal,) = [each["id"] for each in made.values() if each["type"] == "io.rumbo.decision.retracted.v1"]
    expected = {action: {"by": withdrawal, "at": "2026-01-01T12:28:48Z", "reason": "late_event"}}
    assert timeline["retracted"] == decisions["retracted"] == expected
    assert len(made) == 4  # the flow began, would have asked, was left, and what it would have asked for is withdrawn


@pytest.mark.parametrize(("chain", "shown"), [(1, {"a": "r1"}), (2, {"r1": "r2"}), (3, {"a": "r3", "r1": "r2"})])
def test_a_retraction_that_is_withdrawn_withdraws_nothing(chain, shown):
    """A chain: the last word counts."""

    def said(number, what):
        made = {
            "id": f"r{number}", "type": "io.rumbo.decision.retracted.v1", "time": "2026-01-01T00:00:00Z",
            "data": {"retracts": what, "reason": "late_event"},
        }  # fmt: skip
        return msgspec.json.encode(made)

    links = [said(1, "a"), said(2, "r1"), said(3, "a")][:chain]
    entries = [Entry(0, 0, decisions=[b'{"type":"other"}', each]) for each in links]
    assert {gone: each.by for gone, each in retracted(entries[::-1]).items()} == shown
