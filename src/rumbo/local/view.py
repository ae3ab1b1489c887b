"""Profiles as people and programs read them: what is stored, with scores read at an instant."""

from __future__ import annotations

from typing import Any

from rumbo.core.instant import Instant, isoformat
from rumbo.core.profile import Profile
from rumbo.core.program import Program


def profile_view(profile: Profile, program: Program, now: Instant) -> dict[str, Any]:
    """One profile: stages, scores read at `now` (or the customer's clock, if later), counters, next timers."""
    at = max(now, profile.clock)
    journeys: dict[str, Any] = {}
    for journey, state in profile.journeys.items():
        machines = program.scores(journey)
        journeys[journey] = {
            "stage": state.stage,
            "high_water": state.high_water,
            "entered_at": isoformat(state.entered_at),
            "segments": {name: isoformat(since) for name, since in sorted(state.segments.items())},
            "scores": {
                name: {
                    "value": round(machine.value(state.scores[name], at), 4) if name in state.scores else 0.0,
                    "band": machine.band_name(state.scores[name].band) if name in state.scores else None,
                }
                for name, machine in machines.items()
            },
        }
    return {
        "customer": profile.customer,
        "clock": isoformat(profile.clock),
        "first_seen": isoformat(profile.first_seen),
        "events": profile.events,
        "journeys": journeys,
        "counters": dict(sorted(profile.counters.items())),
        "traits": {name: kept[0] for name, kept in sorted(profile.traits.items())},
        "timers": {
            name: isoformat(due) for name, due in sorted(profile.timers.items(), key=lambda each: (each[1], each[0]))
        },
    }
