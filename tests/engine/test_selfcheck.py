"""A worker does not start on libraries that are not the ones it was built on."""

from __future__ import annotations

import pytest
from faust.transport.consumer import Consumer

from rumbo.engine import selfcheck
from rumbo.errors import InternalError


def test_the_locked_libraries_pass():
    """Today's are the ones."""
    selfcheck.check()


def test_a_changed_function_is_named(monkeypatch):
    """What the engine overrides must be what it was read to be."""

    async def other(self, fetcher):
        """Another one's idea of it."""

    monkeypatch.setattr(Consumer, "_drain_messages", other)
    with pytest.raises(InternalError, match="_drain_messages has changed"):
        selfcheck.check()


def test_another_version_is_named(monkeypatch):
    """Both what is there and what must be."""
    monkeypatch.setitem(selfcheck.VERSIONS, "aiokafka", "0.15.0")
    with pytest.raises(InternalError, match=r"aiokafka is .*, and must be 0\.15\.0"):
        selfcheck.check()
