"""Writes RESULTS.md from the rows: the tables, and beside them what they stand on. Measures nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.engines import ENGINES, ROOT

HERE = Path(__file__).parent
WRONG = ("missing", "extra", "twice", "scores_off", "dead_letters_off")
Row = Mapping[str, Any]

HEAD = """\
# Results

Written by `make bench` (short) and `make bench-full` (long); [docs/benchmark.md](../docs/benchmark.md) says what is measured and how to
read it. Absolute figures hold for one machine and hour; ratios travel. Only runs whose outputs equal the reference count.
"""


def machine() -> dict[str, str]:
    """What the figures stand on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "src", "topologies"], capture_output=True, text=True, check=False, cwd=ROOT).stdout.strip()
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr.splitlines()
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    return {
        "machine": f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB", "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(), "java": java[0].split('"')[1] if java else "none", "kafka": "4.1.1", "libraries": _libraries(),
        "commit": f"{commit}{' with changes' if changed else ''}",
    }  # fmt: skip


def _libraries() -> str:
    ours, theirs = _pinned(ROOT / "requirements.lock"), _pinned(HERE / "requirements.txt")
    named = [(each, ours) for each in ("faust-streaming", "aiokafka", "rocksdict", "msgspec")] + [(each, theirs) for each in ("quixstreams", "bytewax", "confluent-kafka")]
    return ", ".join(f"{each} {pinned[each]}" for each, pinned in named)


def _pinned(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE))


def counts(row: Row) -> bool:
    """Whether a row's figure counts."""
    return not any(row["found"][each] for each in WRONG)


def write(rows: list[Row]) -> None:
    """RESULTS.md."""
    sessions = {each["id"]: each for each in rows if each["mode"] == "session"}
    lines = [HEAD]
    for skewed in (False, True):
        for_this = [each for each in rows if each["mode"] == "drain" and each["skewed"] == skewed]
        if for_this:
            last = for_this[-1]["session"]
            lines += _drain([each for each in for_this if each["session"] == last], sessions[last], skewed=skewed)
    (HERE / "RESULTS.md").write_text("\n".join(lines).rstrip() + "\n")


def _under(session: Row) -> str:
    return (
        f"{session['machine']}, {session['system']}, Python {session['python']}, Java {session['java']}, Kafka {session['kafka']}, "
        f"{session['libraries']}; commit {session['commit']}, session {session['id']} ({session['form']})."
    )


def _drain(rows: list[Row], session: Row, *, skewed: bool) -> list[str]:
    found = _by_engine(rows)
    keys = [each for each in ENGINES if each in found]
    rounds: dict[str, dict[int, dict[str, float]]] = {which: defaultdict(dict) for which in ("rate", "rate_half")}
    for each in rows:
        if counts(each):
            for which, by_round in rounds.items():
                by_round[each["round"]][each["engine"]] = each[which]
    head = ("engine", "guarantee", "events", "events per CPU-second, from the first record", "after the first tenth", "second half", "per second", "MiB", "missing / extra / twice / wrong scores / dead letters")
    body = [_engine_row(key, found[key]) for key in keys]
    lines = [f"## Drain, {'skewed' if skewed else 'uniform'} customers, one per five events", "", _under(session), "", *figures.table(head, body), ""]
    pairs = [
        (f"Rumbo / {ENGINES[key].name}", *(figures.with_interval(figures.ratios(by_round.values(), "rumbo", key)) for by_round in rounds.values()))
        for key in keys if key != "rumbo" and "rumbo" in found
    ]  # fmt: skip
    if pairs:
        lines += ["Ratios of events per CPU-second, both of one round: median (95 % of bootstrapped medians).", ""]
        lines += [*figures.table(("ratio", "from the first record", "second half"), pairs), ""]
    return lines


def _by_engine(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for each in rows:
        found[each["engine"]].append(each)
    return found


def _engine_row(key: str, rows: list[Row]) -> tuple[str, ...]:
    good = [each for each in rows if counts(each)]
    wrong = " / ".join(str(max(each["found"][kind] for each in rows)) for kind in WRONG)
    rates = [figures.spread([each[which] for each in good]) or "does not count" for which in ("rate", "rate_warm", "rate_half", "wall_rate")]
    return (ENGINES[key].name, ENGINES[key].guarantee, f"{rows[0]['events']:,}", *rates, f"{max(each['rss'] for each in rows):,.0f}", wrong)
