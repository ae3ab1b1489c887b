"""Leaving a broker: nobody waits long for its answer, nothing is cut off, and what goes wrong in time is heard."""

from __future__ import annotations

import asyncio
import time

import pytest

from rumbo.engine import goodbye
from rumbo.engine.goodbye import leave


def test_a_broker_that_does_not_answer_holds_nobody_up(monkeypatch):
    """Kafka leaves the end of a TLS connection unanswered now and then: for 30 seconds, in the middle of taking over partitions."""
    monkeypatch.setattr(goodbye, "GOODBYE_SECONDS", 0.01)
    ended = []

    async def look():
        answer = asyncio.Event()

        async def wait():
            await answer.wait()
            ended.append(True)

        await leave(wait())
        assert ended == []
        answer.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    begun = time.monotonic()
    asyncio.run(look())
    assert time.monotonic() - begun < 5
    assert ended == [True]
    assert goodbye._leaving == set()


def test_one_that_answers_is_not_waited_for_any_longer_and_its_error_is_heard():
    async def fails():
        raise OSError("gone")

    async def look():
        begun = time.monotonic()
        await leave(asyncio.sleep(0))
        with pytest.raises(OSError, match="gone"):
            await leave(fails())
        return time.monotonic() - begun

    assert asyncio.run(look()) < goodbye.GOODBYE_SECONDS


def test_an_error_that_comes_too_late_is_no_news(monkeypatch, caplog):
    monkeypatch.setattr(goodbye, "GOODBYE_SECONDS", 0.0)

    async def look():
        answer = asyncio.Event()

        async def fails():
            await answer.wait()
            raise OSError("gone")

        await leave(fails())
        answer.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(look())
    assert caplog.text == ""
