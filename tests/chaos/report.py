"""Writes what the rows say: RESULTS.md whole, and the tables between marks in the README and in docs/reliability.md. It counts; it judges nothing."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests import evidence
from tests.chaos.catalogue import SCENARIOS
from tests.chaos.oracle import Verdict

HERE = Path(__file__).parent
ROWS, RESULTS = HERE / "rows.jsonl", HERE / "RESULTS.md"
SIMULATED = evidence.ROOT / "tests" / "simulator" / "rows.jsonl"
MARK = "faults"
README, RELIABILITY = evidence.ROOT / "README.md", evidence.ROOT / "docs" / "reliability.md"
Rows = list[dict[str, Any]]
FIGURES = {
    "lost": ("lost",), "phantom": ("phantom",), "twice": ("twice",),
    "state differences": ("on_disk", "in_changelog", "over_http"), "other": ("disorder", "letters", "unaccounted", "foreign", "hanging"),
}  # fmt: skip
"""Columns, and the figures of the oracle that each sums up."""


def rows() -> Rows:
    """What earlier runs found."""
    return evidence.rows(ROWS)


def keep(row: dict[str, Any]) -> None:
    """One more row, and the documents again."""
    evidence.append(ROWS, row)
    write()


def write() -> None:
    """The documents, from the rows."""
    found = rows()
    RESULTS.write_text(results(found, evidence.rows(SIMULATED)))
    for path, text in tables(found).items():
        evidence.between(path, MARK, text)


def tables(found: Rows) -> dict[Path, str]:
    """What stands between the marks of each document."""
    return {README: summary(found, evidence.rows(SIMULATED)), RELIABILITY: table(found)}


def results(found: Rows, simulated: Rows) -> str:
    """Every fault at every commit of `src/`, each round that failed, in full, and what the simulator's schedules passed."""
    head = ["# The fault catalogue on a real Kafka", "", "Written by `make chaos` from `rows.jsonl`; `docs/reliability.md` says what each fault is and what the oracle compares.", ""]  # fmt: skip
    columns = ("fault", "commit", "N", "rounds", "failed rounds", "records", "decisions", "keys", *FIGURES, "recovery p50 / max", "stall max", "SIGTERM max")  # fmt: skip
    lines = [_line(columns), _line("---" for _ in columns)]
    for fault in _faults(found):
        for commit in dict.fromkeys(each["commit"] for each in found if each["fault"] == fault):
            mine = [each for each in found if (each["fault"], each["commit"]) == (fault, commit)]
            lines.append(_line((fault, commit, *_counts(mine), *_zeros(mine), *_times(mine))))
    failed = [
        f"- {each['fault']}, seed {each['seed']}, at {each['commit']}: {_words(each['failed'])}"
        for each in found
        if "failed" in each
    ]
    whole = [*head, *lines, "", "## Rounds that failed", "", *(failed or ["None."]), "", *schedules(simulated)]
    return "\n".join(whole) + "\n"


def schedules(simulated: Rows) -> list[str]:
    """The simulator's schedules by commit, and how often each await point was passed: at each of them a process may have died."""
    head = ["## Simulated schedules", "", "Written by `make simulate-faults` to `tests/simulator/rows.jsonl`. One counts with at least 50 events, a crash and a rebalance.", ""]  # fmt: skip
    columns = ("commit", "schedules", "counted", "failed", "crashes", "freezes", "rebalances", "decisions")
    lines = [_line(columns), _line("---" for _ in columns)]
    for commit in dict.fromkeys(each["commit"] for each in simulated):
        mine = [each for each in simulated if each["commit"] == commit]
        totals = sum((Counter(each["totals"]) for each in mine), Counter[str]())
        whole = [sum(each[name] for each in mine) for name in ("seeds", "counted", "n_failed")]
        whole += [totals[name] for name in ("crashes", "freezes", "rebalances", "decisions")]
        lines.append(_line((commit, *(f"{each:,}" for each in whole))))
    hits = sum((Counter(each["hits"]) for each in simulated), Counter[str]())
    lines += ["", _line(("await point or named place", "passed")), _line(("---", "---"))]
    return [*head, *lines, *(_line((point, f"{count:,}")) for point, count in sorted(hits.items()))]


def table(found: Rows) -> str:
    """A line a fault, over all commits."""
    columns = (
        "fault",
        "what",
        "N",
        "rounds",
        "failed rounds",
        "records",
        "decisions",
        *FIGURES,
        "recovery p50 / max",
        "stall max",
    )
    what = {each.name: each.what for each in SCENARIOS}
    lines = [_line(columns), _line("---" for _ in columns)]
    for fault in _faults(found):
        mine = [each for each in found if each["fault"] == fault]
        n, rounds, failed, records, decisions, _ = _counts(mine)
        lines.append(
            _line(
                (
                    fault,
                    what.get(fault, "as F1; outputs, disk and changelog compared"),
                    n,
                    rounds,
                    failed,
                    records,
                    decisions,
                    *_zeros(mine),
                    *_times(mine)[:2],
                )
            )
        )
    return "\n".join(lines)


def summary(found: Rows, simulated: Rows) -> str:
    """For the README: the whole in a few lines."""
    columns = ("", "N", "failed", *FIGURES)
    lines = [_line(columns), _line("---" for _ in columns)]
    kills = [each for each in found if each["fault"].partition(" ")[0] in {"F1", "F1b"}]
    others = [each for each in found if each not in kills]
    for name, mine in (
        ("`kill -9` on a real Kafka, at random instants and at each named point", kills),
        ("every other fault of the catalogue", others),
    ):
        if mine:
            lines.append(
                _line((name, sum(each["n"] for each in mine), f"{_failed(mine)} of {len(mine)} rounds", *_zeros(mine)))
            )
    if simulated:
        seeds, failed = (sum(each[name] for each in simulated) for name in ("seeds", "n_failed"))
        lines.append(
            _line(("simulated schedules", f"{seeds:,}", failed, *("0" if not failed else "see rows" for _ in FIGURES)))
        )
    times = [each for row in found for each in row.get("recoveries", ())]
    ends = [each for row in found for each in row.get("ends", ())]
    stalls = [row["stall"] for row in found if row["fault"] == "F2" and row.get("stall")]
    said = []
    if times:
        said.append(
            f"Recovery (process start to owning its partitions): p50 {statistics.median(times):.1f} s, max {max(times):.1f} s, N {len(times)}."
        )
    if stalls:
        said.append(f"Longest stall of a partition when one of three brokers goes: {max(stalls):.1f} s.")
    if ends:
        said.append(f"SIGTERM to exit: p50 {statistics.median(ends):.1f} s, max {max(ends):.1f} s, N {len(ends)}.")
    return "\n".join([*lines, "", *said])


def _faults(found: Rows) -> list[str]:
    def order(name: str) -> tuple[int, str]:
        digits = "".join(letter for letter in name.partition(" ")[0] if letter.isdigit())
        return int(digits or 0), name

    return sorted({each["fault"] for each in found}, key=order)


def _counts(mine: Rows) -> tuple[int, int, int, str, str, str]:
    """N, rounds, failed rounds, records, decisions, keys."""
    whole = [f"{sum(each.get(name, 0) for each in mine):,}" for name in ("records", "decisions", "keys")]
    return sum(each["n"] for each in mine), len(mine), _failed(mine), whole[0], whole[1], whole[2]


def _failed(mine: Rows) -> int:
    return sum("failed" in each for each in mine)


def _zeros(mine: Rows) -> list[int]:
    return [sum(each.get(name, 0) for each in mine for name in names) for names in FIGURES.values()]


def _times(mine: Rows) -> tuple[str, str, str]:
    times = [each for row in mine for each in row.get("recoveries", ())]
    stalls = [row["stall"] for row in mine if row.get("stall")]
    ends = [each for row in mine for each in row.get("ends", ())]
    return (
        f"{statistics.median(times):.1f} / {max(times):.1f} s" if times else "-",
        f"{max(stalls):.1f} s" if stalls else "-",
        f"{max(ends):.1f} s" if ends else "-",
    )


def _words(text: str) -> str:
    return " ".join(text.split())[:300].replace("|", "\\|")


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(each) for each in cells) + " |"


assert set(Verdict.WRONG) == {each for names in FIGURES.values() for each in names}


if __name__ == "__main__":
    write()
