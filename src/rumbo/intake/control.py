"""Control records: what is said to a journey from outside its events. Reading them is strict: they are written by systems, not by browsers.

A clock (timers due until then fire), a customer's stage set or released with authority, a customer's consent, a customer on or
off the suppression list, frozen figures of the cohort.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import msgspec

from rumbo.core.authority import Order
from rumbo.core.consent import EVERY, TEXT, Consent, Status, plain
from rumbo.core.contact import Listed
from rumbo.core.instant import Duration, Instant, parse_duration, parse_instant
from rumbo.core.interaction import Interaction, folded
from rumbo.core.staging import figure
from rumbo.intake.identity import derived_id
from rumbo.intake.record import RawRecord
from rumbo.intake.reject import Reject

Quantile = Literal["p50", "p75", "p90", "p95"]
STAGE_SET: Final = "Stage Set"
STAGE_RELEASED: Final = "Stage Released"
CONSENT_SAID: Final = "Consent Said"
LISTED: Final = "Suppression Listed"
UNLISTED: Final = "Suppression Lifted"
SOURCE: Final = "control"


class Clock(NamedTuple):
    """It is this instant now, as far as this partition goes."""

    at: Instant


class Said(NamedTuple):
    """Somebody said something of a customer. As decisions quote it, and what follows; `journey` is empty where it is of no journey."""

    event: Interaction
    journey: str
    order: Order | Consent | Listed


class Figures(NamedTuple):
    """Frozen figures of the cohort, by where they stand (`core.staging.figure`)."""

    of: dict[str, Duration]


Control = Clock | Said | Figures


class _Clock(msgspec.Struct, tag="clock"):
    at: str


class _Stage(msgspec.Struct, tag="stage"):
    customer: str
    journey: str
    stage: str
    at: str | None = None
    id: str | None = None
    expires_at: str | None = None


class _Release(msgspec.Struct, tag="release"):
    customer: str
    journey: str
    at: str | None = None
    id: str | None = None


class _Consent(msgspec.Struct, tag="consent"):
    customer: str
    status: Status
    purpose: str = EVERY
    channel: str = EVERY
    at: str | None = None
    id: str | None = None
    expires_at: str | None = None
    source: str = SOURCE
    proof: str = ""


class _Suppress(msgspec.Struct, tag="suppress"):
    customer: str
    listed: bool = True
    at: str | None = None
    id: str | None = None
    source: str = SOURCE


class _Cohort(msgspec.Struct, tag="cohort"):
    journey: str
    dwell: dict[str, str]
    quantile: Quantile = "p90"


_decoder: Final = msgspec.json.Decoder(_Clock | _Stage | _Release | _Consent | _Suppress | _Cohort)


def read_control(record: RawRecord) -> Control | Reject:
    """One record of the control topic."""
    try:
        said = _decoder.decode(record.value or b"")
        match said:
            case _Clock(at=at):
                return Clock(parse_instant(at))
            case _Cohort(journey=journey, quantile=quantile, dwell=dwell):
                return Figures(
                    {figure(journey, stage, quantile): parse_duration(text) for stage, text in dwell.items()}
                )
            case _Stage(stage=stage, expires_at=expires):
                event = _event(record, said, STAGE_SET)
                return Said(event, said.journey, Order(stage, parse_instant(expires) if expires is not None else 0))
            case _Release():
                return Said(_event(record, said, STAGE_RELEASED), said.journey, Order(None))
            case _Consent():
                event = _event(record, said, CONSENT_SAID)
                return Said(event, "", _consent(said, event.at))
            case _:
                event = _event(record, said, LISTED if said.listed else UNLISTED)
                return Said(event, "", Listed(said.listed, event.at, said.source[:TEXT]))
    except (msgspec.MsgspecError, ValueError) as error:
        return Reject("not_a_control_record", str(error))


def _consent(said: _Consent, at: Instant) -> Consent:
    expires = parse_instant(said.expires_at) if said.expires_at is not None else 0
    purpose, channel = plain(said.purpose), plain(said.channel)
    if not purpose or not channel:
        raise ValueError("`purpose` or `channel` is empty; leave it out for every one")
    return Consent(
        purpose, channel, said.status, at, source=said.source[:TEXT], proof=said.proof[:TEXT], expires=expires
    )


def _event(record: RawRecord, said: _Stage | _Release | _Consent | _Suppress, name: str) -> Interaction:
    """As decisions quote it."""
    if said.at is None and record.timestamp < 0:
        raise ValueError("neither `at` nor the record says when")
    at = parse_instant(said.at) if said.at is not None else record.timestamp * 1000
    return Interaction(
        said.customer, name, folded(name), said.id or derived_id(record), at, record.topic, record.partition, record.offset,
        record.value or b"{}", format="control",
    )  # fmt: skip
