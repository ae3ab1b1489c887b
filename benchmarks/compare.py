"""What an engine wrote against what the reference expects: missing, extra, repeated, scores that differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from benchmarks.reference import Output, Reference


def from_cloudevent(value: bytes) -> Output | None:
    """One of Rumbo's outputs as the reference names it; None for what the job does not compare."""
    event: dict[str, Any] = json.loads(value)
    data, kind = event["data"], event["type"]
    message = data["because"]["events"][0]["id"] if data["because"].get("events") else ""
    if kind == "io.rumbo.score.changed.v1":
        return Output("score", event["subject"], message, data["band"] or "none", data["value"])
    if kind == "io.rumbo.stage.changed.v1" and not data["implied"]:
        return Output("stage", event["subject"], message, data["to"])
    if kind == "io.rumbo.action.requested.v1":
        return Output("action", event["subject"], message, data["trigger"])
    return None


def compare(reference: Reference, written: Iterable[Output], dead: int) -> dict[str, int]:
    """Counts that must all be 0, and how many were expected."""
    written = list(written)
    seen = Counter(each[:4] for each in written)
    scores = {each[:4]: each.score for each in written if each.score is not None}
    expected = {each[:4]: each.score for each in reference.outputs}
    off = sum(1 for key, score in expected.items() if score is not None and key in scores and abs(scores[key] - score) > 0.01)
    return {
        "expected": len(expected),
        "missing": len(expected.keys() - seen.keys()),
        "extra": len(seen.keys() - expected.keys()),
        "twice": sum(count - 1 for count in seen.values()),
        "scores_off": off,
        "dead_letters_off": abs(dead - reference.dead),
    }


def differs(reference: Reference, told: dict[str, Any], dropped: str) -> dict[str, int]:
    """What `rumbo diff --json` told of a version that lacks one trigger: its actions gone, each once, and all else the same."""
    due = sum(1 for each in reference.outputs if each.kind == "action" and each.what == dropped)
    rows = told["rows"]
    gone = sum(each["removed"] for each in rows if each["rule"] == f"trigger {dropped}" and each["outcome"] == "emitted")
    other = sum(each[kind] for each in rows for kind in ("added", "moved", "changed"))
    other += sum(each["removed"] for each in rows if each["rule"] != f"trigger {dropped}")
    return {"expected": due, "missing": max(due - gone, 0), "extra": max(gone - due, 0) + other, "twice": 0, "scores_off": 0, "dead_letters_off": 0}
