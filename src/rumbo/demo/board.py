"""What the demonstration shows: counts kept from the outputs as they come, drawn for a terminal or said in plain lines."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import msgspec
from rich.console import Group
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

_STAGES = ("prospect", "shopper", "regular", "loyal", "lapsed")
_decode = msgspec.json.Decoder().decode


class Board:
    """The figures of one run."""

    def __init__(self, total: int) -> None:
        self.total, self.played, self.decisions, self.date = total, 0, 0, ""
        self.moves: Counter[tuple[str, str]] = Counter()
        self.actions: Counter[str] = Counter()
        self.held: Counter[tuple[str, str]] = Counter()
        self.bands: Counter[str] = Counter()
        self.stage: dict[str, str] = {}
        self.last: deque[tuple[str, str, str, str]] = deque(maxlen=8)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.completed:,}/{task.total:,}")
        )
        self._task = self._bar.add_task("interactions played", total=total)

    def take(self, value: bytes) -> None:
        """One output, as read from its topic."""
        event: dict[str, Any] = _decode(value)
        data, who, kind = event["data"], event["subject"], event["type"].split(".", 2)[2]
        self.decisions += 1
        self.date = max(self.date, event["time"][:10])
        if kind == "stage.changed.v1":
            self.stage[who] = data["to"]
            self.moves[data["from"], data["to"]] += 1
        elif kind == "score.changed.v1":
            self.bands[data["band"] or "none"] += 1
        elif kind == "action.requested.v1":
            self.actions[data["trigger"]] += 1
            self.last.append((event["time"][:16].replace("T", " "), who, data["trigger"], because(data["because"])))
        elif kind == "action.suppressed.v1":
            self.held[data["trigger"], data["gate"]] += 1

    def stages(self) -> dict[str, int]:
        """How many households are in each stage now."""
        found = Counter(self.stage.values())
        return {name: found.get(name, 0) for name in _STAGES[1:]}

    def draw(self) -> Group:
        """The board as it stands."""
        self._bar.update(self._task, completed=self.played)
        stages = Table(title=f"households by stage, {self.date or 'the worker is starting'}", expand=True)
        for name in self.stages():
            stages.add_column(name, justify="right")
        stages.add_row(*(f"{count:,}" for count in self.stages().values()))
        actions = Table(title="last actions, and why", expand=True)
        for name in ("when", "household", "action", "because"):
            actions.add_column(name, no_wrap=name != "because")
        for row in self.last:
            actions.add_row(*row)
        return Group(Panel(self._bar, title="Rumbo: a year of real shoppers"), stages, actions)

    def line(self) -> str:
        """The same in one plain line, where there is no terminal."""
        stages = " ".join(f"{name} {count}" for name, count in self.stages().items())
        at = f", {self.date}: {stages}" if self.date else ""
        return f"{self.played:,} of {self.total:,} interactions, {self.decisions:,} decisions{at}"

    def summary(self) -> str:
        """What it came to."""
        lapses = sum(count for (_, to), count in self.moves.items() if to == "lapsed")
        back = sum(count for (origin, _), count in self.moves.items() if origin == "lapsed")
        lines = [
            f"{self.played:,} interactions, {self.decisions:,} decisions, every one of them exactly once",
            "households at the year's end: " + ", ".join(f"{count:,} {name}" for name, count in self.stages().items()),
            f"lapses: {lapses:,}, each at 28 days to the second after the last basket; came back: {back:,}",
            "actions: " + ", ".join(f"{count:,} {name}" for name, count in self.actions.most_common()),
            "held back: " + ", ".join(f"{count:,} {name} ({gate})" for (name, gate), count in self.held.most_common(4)),
        ]
        return "\n".join(lines)


def because(why: dict[str, Any]) -> str:
    """A decision's reason in a few words."""
    seen = [
        each["condition"]
        + (f" (saw {', '.join(str(value) for value in each['saw'].values())})" if each.get("saw") else "")
        for each in why.get("conditions", [])
    ]
    cause = why["events"][0]["name"] if why.get("events") else "time alone"
    return "; ".join(seen) or cause
