"""Several workers: whoever is asked answers, with one hop, in time, or says when to come back."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest
from aiohttp import web

from rumbo.core.tally import funnel
from rumbo.engine.place import place_of
from rumbo.serve.peers import HOPS
from tests.broker.cluster import free_port
from tests.serve.test_customer import BASKET, asked
from tests.serve.worker import PARTITIONS, Worker, run

NAMES = [f"h-{n}" for n in range(12)]
LEFT, RIGHT = (0, 1), (2, 3)


@pytest.fixture
def pair(tmp_path):
    made = Worker(tmp_path / "one", owned=LEFT), Worker(tmp_path / "two", owned=RIGHT)
    yield made
    for each in made:
        each.close()


def of(numbers):
    """Customers of these partitions."""
    return [name for name in NAMES if place_of(name.encode(), PARTITIONS) in numbers]


async def filled(one, two):
    for worker, numbers in ((one, LEFT), (two, RIGHT)):
        await worker.hear(*((name, "Order Completed", 0, BASKET) for name in of(numbers)))


def test_either_worker_answers_for_any_customer(pair):
    """By its own store, or by asking the owner; sums are over both."""
    one, two = pair

    async def look():
        await filled(one, two)
        async with one.served() as first, two.served() as second:
            for each in pair:
                each.knows({one.url: LEFT, two.url: RIGHT})
            for session in (first, second):
                for name in NAMES:
                    assert (await asked(session, f"/v1/customers/{name}"))["customer"] == name
                await asked(session, "/v1/customers/nobody", 404)
                whole = await asked(session, "/v1/journeys/grocery/funnel")
                assert (whole["customers"], whole["complete"]) == (len(NAMES), True)
                status = await asked(session, "/v1/status")
                assert sorted(n for each in status["workers"] for n in each["partitions"]) == [0, 1, 2, 3]
                assert status["interactions"] == len(NAMES)

    run(asyncio.wait_for(look(), 20))


def test_an_owner_that_is_away_is_not_now_and_never_a_hang(pair):
    """Refused connections, and one that takes the connection and says nothing; what is here is still answered, and sums say that they are a part."""
    one, two = pair

    async def look():
        await filled(one, two)
        deaf = socket.create_server(("127.0.0.1", 0))  # the system takes the connection, and nobody reads from it
        silent = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        async with one.served() as session:
            for away in (f"http://127.0.0.1:{free_port()}", silent, "none://somebody"):
                one.knows({one.url: LEFT, away: RIGHT})
                started = time.monotonic()
                said = await asked(session, f"/v1/customers/{of(RIGHT)[0]}", 503)
                assert time.monotonic() - started < 5
                assert said["retry_after"] == 1
                await asked(session, f"/v1/customers/{of(LEFT)[0]}")
                assert (await asked(session, "/v1/journeys/grocery/funnel"))["complete"] is False
        deaf.close()

    run(asyncio.wait_for(look(), 30))


def test_two_workers_that_each_think_the_other_has_it_do_not_ask_in_a_circle(pair):
    """One hop is the limit."""
    one, two = pair

    async def look():
        async with one.served() as first, two.served():
            name = of(LEFT)[0]
            one.carrier.workers.clear()  # it lost them, and has not heard yet who has them
            one.knows({two.url: LEFT})
            two.knows({one.url: LEFT})
            said = await asked(first, f"/v1/customers/{name}", 503)
            assert "has not" in said["detail"]
            async with first.get(f"/v1/customers/{name}", headers={HOPS: "1"}) as answer:
                assert answer.status == 503

    run(asyncio.wait_for(look(), 10))


def test_a_token_is_asked_of_workers_as_of_everybody(tmp_path, pair):
    """A worker hands on with its own token, never with the caller's."""
    one, two = pair
    tokens = tmp_path / "tokens"
    tokens.write_text(f"read {'r' * 32}\nwrite {'w' * 32}\n")
    tokens.chmod(0o600)
    seen = []

    async def spy(request):
        seen.append(request.headers.get("Authorization"))
        return web.json_response({})

    async def look():
        async with one.served(web_token_file=tokens) as session, two.served(web_token_file=tokens):
            one.knows({one.url: LEFT, two.url: RIGHT})
            name = of(RIGHT)[0]
            async with session.get(f"/v1/customers/{name}") as answer:
                assert answer.status == 401
            async with session.get(f"/v1/customers/{name}", headers={"Authorization": f"Bearer {'w' * 32}"}) as answer:
                assert answer.status == 404  # the other one let it in
            spied = web.Application()
            spied.router.add_get("/v1/customers/{id}", spy)
            runner = web.AppRunner(spied)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            one.knows({one.url: LEFT, f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}": RIGHT})
            async with session.get(f"/v1/customers/{name}", headers={"Authorization": f"Bearer {'w' * 32}"}) as answer:
                assert answer.status == 200
            await runner.cleanup()

    run(asyncio.wait_for(look(), 10))
    assert seen == [f"Bearer {'r' * 32}"]


async def events(answer, count):
    """The next so many events of a stream."""
    found, left = [], b""
    async for part in answer.content.iter_any():
        *whole, left = (left + part).split(b"\n\n")
        found += [each for each in whole if not each.startswith(b":")]
        if len(found) >= count:
            return found
    return found


def test_actions_of_all_workers_are_told_as_they_happen(pair):
    """First the last ones, then each as it is committed, wherever it is decided."""
    one, two = pair

    async def look():
        before, here, there = of(LEFT)[0], of(LEFT)[1], of(RIGHT)[0]
        await one.hear((before, "Coupon Redeemed", 0))
        async with one.served() as session, two.served():
            one.knows({one.url: LEFT, two.url: RIGHT})
            async with session.get("/v1/stream") as answer:
                assert answer.content_type == "text/event-stream"
                told = await events(answer, 1)
                await asyncio.sleep(
                    0.1
                )  # the other worker's stream is being opened; it would tell its last ones anyway
                await one.hear((here, "Coupon Redeemed", 1))
                await two.hear((there, "Coupon Redeemed", 1))
                told += await events(answer, 2)
        return told, (before, here, there)

    told, names = run(asyncio.wait_for(look(), 10))
    said = [json.loads(each.split(b"data: ", 1)[1]) for each in told]
    assert said[0]["subject"] == names[0]
    assert {each["subject"] for each in said} == set(names)
    assert all(each["data"]["because"]["rule"] == "trigger thank_redeemer" for each in said)


def test_a_worker_that_stops_waits_for_no_listener(pair):
    """Nor does one who leaves keep anything."""
    one, _ = pair

    async def look():
        async with one.served() as session:
            answer = await session.get("/v1/stream")
            await answer.content.readany()
            started = time.monotonic()
            await one.api.close()
            assert await answer.content.read() is not None
            answer.close()
        return time.monotonic() - started

    assert run(asyncio.wait_for(look(), 20)) < 3


def test_one_who_missed_some_is_told_how_many(tmp_path):
    """The ring is bounded; nobody is made to wait for the slow."""
    from rumbo.serve.live import KEPT, Live

    worker = Worker(tmp_path)

    async def decide():
        for batch in range(3):
            await worker.hear(*((f"x-{batch}-{n}", "Coupon Redeemed", 0) for n in range(KEPT // 2)))

    run(decide())
    live: Live = worker.stage.live
    kept, missed = live.since(0)
    assert (len(kept), missed) == (KEPT, KEPT // 2 * 3 - KEPT)
    assert live.since(live.actions) == ([], 0)
    worker.close()


# Why not --------------------------------------------------------------------------------------------------------------


async def why(session, customer, body, status=200):
    async with session.post(f"/v1/customers/{customer}/why-not", data=body) as answer:
        said = await answer.json(content_type=None)
        assert answer.status == status, said
        return said


def test_why_a_trigger_does_not_act_names_the_gate_and_what_would_have_to_differ(pair):
    """Asked of either worker; a question is no decision: nothing that is stored changes."""
    one, two = pair
    name = of(RIGHT)[0]

    async def look():
        await two.hear((name, "Order Completed", 0, {"total": 150.0}))
        before = two.window.customer(name).profile
        async with one.served() as session, two.served():
            one.knows({one.url: LEFT, two.url: RIGHT})
            basket = await why(session, name, b'{"trigger": "big_basket"}')
            lapse = await why(session, name, b'{"trigger": "lapse_coming", "journey": "grocery"}')
            assert (
                "did you mean 'big_basket'?" in (await why(session, name, b'{"trigger": "big_baskt"}', 404))["detail"]
            )
            for bad in (b"", b"{", b"[]", b'{"trigger": 1}', b'{"trigger": "x", "more": 1}', b'{"trigger": "\xff"}'):
                await why(session, name, bad, 400)
            await why(session, name, b'{"trigger": "%s"}' % (b"x" * 70_000), 413)
            await why(session, "nobody", b'{"trigger": "big_basket"}', 404)
        assert two.window.customer(name).profile == before
        return basket, lapse

    basket, lapse = run(asyncio.wait_for(look(), 10))
    gates = {each["gate"]: each["passed"] for each in basket["why_not"]["gates"]}
    assert gates["cooldown"] is False
    assert basket["last_acted"] == "2026-01-01T00:00:00Z"
    assert lapse["why_not"]["called"]["saw"]["due"] == "2026-01-22T00:00:00Z"
    assert any("2026-01-22" in each for each in lapse["why_not"]["differ"])


def test_why_a_flow_does_not_begin_is_what_the_command_says(tmp_path):
    """The instance that is under way, the key that is missing, what begins it; a name that is none, or both, is refused with the cure."""
    worker = Worker(tmp_path, "topologies/outreach")

    async def look():
        await worker.hear(("c", "Trial Started", 0.5))
        before = worker.window.customer("c").profile
        async with worker.served() as session:
            trial = await why(session, "c", b'{"flow": "trial"}')
            cart = await why(session, "c", b'{"flow": "cart", "journey": "outreach"}')
            unknown = await why(session, "c", b'{"flow": "trail"}', 404)
            trigger = await why(session, "c", b'{"trigger": "trial"}', 404)
            for bad in (
                b"{}",
                b'{"flow": "trial", "trigger": "welcome"}',
                b'{"flow": null}',
                b'{"flow": "trial", "trigger": null}',
            ):
                said = await why(session, "c", bad, 400)
            assert worker.window.customer("c").profile == before
            return trial, cart, unknown, trigger, said

    trial, cart, unknown, trigger, said = run(asyncio.wait_for(look(), 10))
    assert (trial["flow"], trial["trigger"]) == ("trial", None)
    assert trial["last_acted"] == "2026-01-01T12:00:00Z"
    assert trial["why_not"]["again"]["holds"] is False
    assert "the instance that began 2026-01-01T12:00:00Z must be over" in trial["why_not"]["differ"]
    assert cart["last_acted"] is None
    assert "event.properties.cart_id must be there: it keys the flow" in cart["why_not"]["differ"]
    assert any("Product Added" in each for each in cart["why_not"]["differ"])
    assert (unknown["title"], "did you mean 'trial'?" in unknown["detail"]) == ("No such flow", True)
    assert trigger["title"] == "No such trigger"
    assert '{"flow": "cart"}' in said["detail"]
    worker.close()


def test_the_funnel_of_both_is_the_sum_of_each(pair):
    """Addition, not a guess."""
    one, two = pair
    run(filled(one, two))
    journey = one.topology.journeys[0]
    parts = [funnel(journey, each.window.tally()) for each in pair]
    assert sum(part[0].reached for part in parts) == len(NAMES)
