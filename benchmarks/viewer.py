"""The open-loop viewer: asks a worker for customers at a fixed rate, whatever it answers. Runs as a process of its own on core 0.

    python -m benchmarks.viewer URL FILE EVENTS RATE READS SECONDS    says `ready`, waits for a line with the instant to begin at,
                                                                       says `sent` when every answer is there

Request n is due at begin + n / READS and its latency counts from there, so what waits behind a slow answer is counted. It begins with the
quarter of the time that counts. Who is asked for is drawn from the records that were due a second ago. It uses none of Rumbo's code.
"""

from __future__ import annotations

import asyncio
import pickle
import random
import sys
import time
from pathlib import Path
from typing import NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from benchmarks.generate import generate

WARM = 0.25
AGO_SECONDS = 1.0
ASKED = ("customer", "customer", "customer", "timeline", "decisions", "why-not")
"""In turn: half of the requests are for what is known of a customer."""
TRIGGER = {"trigger": "checkout_help"}


class Asked(NamedTuple):
    """One request: what was asked, by how many milliseconds the asker was late, the answer's status (0: none), milliseconds from due to read, whether it was about the one asked for."""

    what: str
    late: float
    status: int
    milliseconds: float
    right: bool


async def ask(session: ClientSession, what: str, who: str, due: float) -> Asked:
    """One request, read to its end."""
    late = (time.time() - due) * 1000
    path = f"/v1/customers/{who}" + ("" if what == "customer" else f"/{what}")
    try:
        async with session.request("POST" if what == "why-not" else "GET", path, json=TRIGGER if what == "why-not" else None) as answer:
            body = await answer.read()
            return Asked(what, late, answer.status, (time.time() - due) * 1000, f'"customer":"{who}"'.encode() in body)
    except (ClientError, TimeoutError):
        return Asked(what, late, 0, (time.time() - due) * 1000, False)


async def view(url: str, who: list[str], rate: float, reads: float, seconds: float) -> list[Asked]:
    """Ask until the time is over."""
    chance = random.Random(1)
    connections = TCPConnector(limit=0)
    async with ClientSession(url, connector=connections, timeout=ClientTimeout(total=10)) as session:
        print("ready", flush=True)
        begin = float(await asyncio.to_thread(sys.stdin.readline))
        tasks = []
        for number in range(int(WARM * seconds * reads), int(seconds * reads)):
            due = begin + number / reads
            await asyncio.sleep(max(due - time.time(), 0))
            known = min(int((due - begin - AGO_SECONDS) * rate), len(who))
            tasks.append(asyncio.ensure_future(ask(session, ASKED[number % len(ASKED)], who[chance.randrange(known)], due)))
        return list(await asyncio.gather(*tasks))


def main() -> None:
    """Ask, write, say so."""
    url, file, events, rate, reads, seconds = sys.argv[1:]
    who = [each.key.decode() for each in generate(int(events))]
    found = asyncio.run(view(url, who, float(rate), float(reads), float(seconds)))
    Path(file).write_bytes(pickle.dumps([tuple(each) for each in found]))
    print("sent", flush=True)


if __name__ == "__main__":
    main()
