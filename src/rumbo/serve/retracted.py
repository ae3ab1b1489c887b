"""Which of the decisions that are shown are withdrawn: told from the retractions among them. It changes none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from rumbo.output.cloudevents import event_type
from rumbo.serve.model import Retracted
from rumbo.serve.state import Entry

_MARK: Final = f'"{event_type("decision.retracted")}"'.encode()


class _Data(msgspec.Struct):
    retracts: str
    reason: Literal["late_event", "quarantine", "reinstated"]


class _Retraction(msgspec.Struct):
    id: str
    time: str
    data: _Data


_decode: Final = msgspec.json.Decoder(_Retraction).decode


def retracted(entries: Iterable[Entry]) -> dict[str, Retracted]:
    """By id, of entries the last first: a retraction that is withdrawn itself withdraws nothing."""
    found: dict[str, Retracted] = {}
    told = (each for entry in entries for each in reversed(entry.decisions) if _MARK in each)
    for made in map(_decode, told):
        if made.id not in found:
            found[made.data.retracts] = Retracted(made.id, made.time, made.data.reason)
    return found
