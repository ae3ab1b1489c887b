"""Writes RESULTS.md from the rows: the tables, and beside them what they stand on. Measures nothing."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.names import NAMES

HERE = Path(__file__).parent
ROOT = HERE.parent
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
        "python": f"{platform.python_version()} ({_build()})", "java": java[0].split('"')[1] if java else "none", "kafka": "4.1.1", "libraries": _libraries(),
        "commit": f"{commit}{' with changes' if changed else ''}",
    }  # fmt: skip


def _build() -> str:
    """How the interpreter was made. Distributions and the official images compile it with a profile, which is worth a tenth; a plain build is not."""
    if sys.base_prefix == "/usr":
        return "the distribution's build"
    return "profile-guided build" if "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")) else "plain build"


def _libraries() -> str:
    ours, theirs = _pinned(ROOT / "requirements.lock"), _pinned(HERE / "requirements.txt")
    named = [(each, ours) for each in ("faust-streaming", "aiokafka", "rocksdict", "msgspec")] + [(each, theirs) for each in ("quixstreams", "bytewax", "confluent-kafka")]
    return ", ".join(f"{each} {pinned[each]}" for each, pinned in named)


def _pinned(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE))


def counts(row: Row) -> bool:
    """Whether a row's figure counts."""
    return not any(row["found"].get(each, 0) for each in WRONG)


def write(rows: list[Row]) -> None:
    """RESULTS.md."""
    (HERE / "RESULTS.md").write_text(text(rows))


def text(rows: list[Row]) -> str:
    """The page: each table from the newest session that has it; engines that it left out of a drain stand below, from the newest one that has them."""
    sessions = {each["id"]: each for each in rows if each["mode"] == "session"}
    lines = [HEAD]
    for mode, skewed, made in (
        ("drain", False, _drain), ("drain", True, _drain), ("long drain", False, _drain), ("open loop", False, _open_loop), ("view", False, _view), ("triggers", False, _triggers),
        ("simulate", False, _history), ("diff", False, _history), ("recovery", False, _recovery), ("memory", False, _memory), ("workers", False, _workers),
    ):  # fmt: skip
        these = [each for each in rows if each["mode"] == mode and each["skewed"] == skewed]
        title = f"## {TITLES[mode]}{', skewed customers' if skewed else ''}"
        while these:
            last = these[-1]["session"]
            newest = [each for each in these if each["session"] == last]
            lines += [title, "", _under(sessions[last]), "", *made(newest), ""]
            shown = {each["engine"] for each in newest}
            these = [each for each in these if each["engine"] not in shown] if mode == "drain" else []
            title = f"{title.removesuffix(', the others')}, the others"
    failed = [each for each in rows if each["mode"].startswith("failed") and each["session"] == rows[-1]["session"]] if rows[-1]["mode"] != "session" else []
    if failed:
        lines += ["## What failed", "", *(f"- {each['mode']}: {NAMES[each['engine']].name}: `{each['problem'].splitlines()[-1]}`" for each in failed)]
    return "\n".join(lines).rstrip() + "\n"


TITLES = {
    "drain": "Drain", "long drain": "Drain, long", "open loop": "Latency at a fixed rate", "view": "The customer view at half load", "triggers": "What triggers cost",
    "simulate": "A history with no broker: rumbo simulate", "diff": "A history with no broker: rumbo diff",
    "recovery": "Start and recovery", "memory": "Memory and state", "workers": "More workers on one machine",
}  # fmt: skip


def _under(session: Row) -> str:
    return (
        f"{session['machine']}, {session['system']}, Python {session['python']}, Java {session['java']}, Kafka {session['kafka']}, "
        f"{session['libraries']}; commit {session['commit']}, session {session['id']} ({session['form']})."
    )


def _drain(rows: list[Row]) -> list[str]:
    found = _by_engine(rows)
    keys = [each for each in NAMES if each in found]
    rounds: dict[str, dict[int, dict[str, float]]] = {which: defaultdict(dict) for which in ("rate", "rate_warm", "rate_half")}
    for each in rows:
        if counts(each):
            for which, by_round in rounds.items():
                by_round[each["round"]][each["engine"]] = each[which]
    head = (
        "engine", "guarantee", "events (customers)", "events per CPU-second, from the first record", "after the first tenth", "second half", "per second",
        "MiB", "missing / extra / twice / wrong scores / dead letters",
    )  # fmt: skip
    lines = [*figures.table(head, [_engine_row(key, found[key]) for key in keys]), ""]
    pairs = [
        (f"Rumbo / {NAMES[key].label}", *(figures.with_interval(figures.ratios(by_round.values(), "rumbo", key)) for by_round in rounds.values()))
        for key in keys if key != "rumbo" and "rumbo" in found
    ]  # fmt: skip
    if pairs:
        lines += ["Ratios of events per CPU-second, both of one round: median (95 % of bootstrapped medians).", ""]
        lines += figures.table(("ratio", "from the first record", "after the first tenth", "second half"), pairs)
    return lines


def _open_loop(rows: list[Row]) -> list[str]:
    head = ("engine", "guarantee", "events per second", "share of its drain", "p50 ms", "p99", "p99.9", "max", "outputs", "CPU", "lag", "wrong")
    body = [
        (
            NAMES[each["engine"]].name, NAMES[each["engine"]].guarantee, f"{each['rate']:,.0f}", f"{each['option']:.0%}" if each["option"] <= 1 else "",
            *(f"{each[share]:,.0f}" if each["held"] else "does not count" for share in ("p50", "p99", "p99.9", "max")),
            f"{each['outputs']:,}", f"{each['cpu_share']:.0%}", "holds" if each["held"] else "grows", _wrong([each]),
        )
        for each in rows
    ]  # fmt: skip
    return [
        "From the instant that an input was to be sent to the instant that a separate `read_committed` reader has the output; the first quarter is not "
        "counted. Kafka Streams commits each 100 ms here, its own default with exactly once.", "", *figures.table(head, body),
    ]  # fmt: skip


def _view(rows: list[Row]) -> list[str]:
    head = ("asked for", "requests", "p50 ms", "p99", "p99.9", "max", "not heard of yet", "refused", "wrong")
    lines = [
        f"Rumbo, asked {rows[0]['reads']} times a second over HTTP while it is sent half of what it drains: from the instant that a request was to be sent to "
        "the last byte of its answer. Of several rounds the worst is told.", "",
    ]  # fmt: skip
    body = []
    for what in rows[0]["views"]:
        these = [each["views"][what] for each in rows]
        counted = [f"{sum(int(each[kind]) for each in these):,}" for kind in ("requests", "unknown", "refused", "wrong")]
        body.append((what, counted[0], *(f"{max(each[share] for each in these):,.1f}" for share in ("p50", "p99", "p99.9", "max")), *counted[1:]))
    rounds = [
        f"- Round {each['round']}: {each['rate']:,.0f} events a second (it drains {each['own_rate']:,.0f}), {each['cpu_share']:.0%} of a core, the lag "
        f"{'holds' if each['held'] else 'grows: it does not count'}; its outputs p50 {each['p50']:,.0f} ms, p99 {each['p99']:,.0f} ms; wrong {_wrong([each])}; the asker itself was late by {each['views']['all']['late']:,.1f} ms at p99."
        for each in rows
    ]  # fmt: skip
    return [*lines, *figures.table(head, body), "", *rounds]


def _triggers(rows: list[Row]) -> list[str]:
    by_round: dict[int, dict[str, float]] = defaultdict(dict)
    for each in rows:
        if counts(each):
            by_round[each["round"]][str(int(each["option"]))] = each["rate"]
    body = [
        (
            count, figures.spread([each[count] for each in by_round.values() if count in each]),
            figures.with_interval(figures.ratios(by_round.values(), "10", count)),
            figures.with_interval([each["start_cpu"] for each in rows if each["option"] == int(count)], 1),
        )
        for count in ("10", "100", "1000")
    ]  # fmt: skip
    return ["Rumbo; ten of them can match, the others name events that do not come.", "", *figures.table(("triggers", "events per CPU-second", "cost, times that of 10", "CPU seconds to start"), body)]


def _history(rows: list[Row]) -> list[str]:
    good = [each for each in rows if counts(each)]
    rates = [figures.spread([each[which] for each in good]) or "does not count" for which in ("rate", "wall_rate")]
    body = [(f"{rows[0]['events']:,} ({rows[0]['customers']:,})", *rates, f"{max(each['rss'] for each in rows):,.0f}", _wrong(rows))]
    return [
        "Rumbo alone, the whole process: its start, the reading of the file and the writing of what it says are in the figure. `diff` runs two versions.", "",
        *figures.table(("events (customers)", "events per CPU-second", "per second", "MiB", "wrong"), body),
    ]  # fmt: skip


def _recovery(rows: list[Row]) -> list[str]:
    head = ("engine", "guarantee", "profiles", "started new, s", "after kill -9, own directory, s", "after kill -9, empty directory, s", "s per million profiles", "profiles per second, by the median")
    body = []
    for key, these in _by_engine(rows).items():
        seconds = [figures.with_interval([each[which] for each in these], 1) for which in ("start_new", "start_warm", "start_wiped", "per_million")]
        middle = statistics.median(each["per_million"] for each in these)
        speed = f"{1e6 / middle:,.0f}" if middle > 0 else "lost in the noise"
        body.append((NAMES[key].name, NAMES[key].guarantee, f"{these[0]['customers']:,}", *seconds, speed))
    return [
        "From the start of the process until an output of each partition is committed. Profiles per second leave out what it takes to start new.", "",
        *figures.table(head, body),
    ]  # fmt: skip


def _memory(rows: list[Row]) -> list[str]:
    head = ("engine", "customers", "events", "MiB resident", "most", "store bytes per customer", "changelog bytes per customer, compacted", "changelog records per event", "wrong")
    body = [
        (
            NAMES[each["engine"]].label, f"{each['customers']:,}", f"{each['events']:,}", f"{each['rss']:,.0f}", f"{each['rss_max']:,.0f}",
            f"{each['store_bytes']:,.0f}", f"{each['changelog_bytes']:,.0f}", f"{each['changelog_records']:.2f}", _wrong([each]),
        )
        for each in sorted(rows, key=lambda each: (each["customers"], each["engine"]))
    ]  # fmt: skip
    return figures.table(head, body)


def _workers(rows: list[Row]) -> list[str]:
    head = ("engine", "workers", "events per second", "per worker", "events per CPU-second of all", "wrong")
    body = []
    for key, these in _by_engine(rows).items():
        for count in sorted({each["option"] for each in these}):
            found = [each for each in these if each["option"] == count and counts(each)]
            wall = [each["wall_rate"] for each in found]
            cells = [figures.spread(each) for each in (wall, [rate / count for rate in wall], [each["rate"] for each in found])]
            body.append((NAMES[key].label, f"{count:.0f}", *cells, _wrong([each for each in these if each["option"] == count])))
    return [
        f"Workers share the cores beside the broker's ({max((os.cpu_count() or 2) - 1, 1)} here): with one core between them, what more workers cost is seen, not what they gain.", "",
        *figures.table(head, body),
    ]  # fmt: skip


def _wrong(rows: list[Row]) -> str:
    return " / ".join(str(max(each["found"].get(kind, 0) for each in rows)) for kind in WRONG)


def _by_engine(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for each in rows:
        found[each["engine"]].append(each)
    return found


def _engine_row(key: str, rows: list[Row]) -> tuple[str, ...]:
    good = [each for each in rows if counts(each)]
    rates = [figures.spread([each[which] for each in good]) or "does not count" for which in ("rate", "rate_warm", "rate_half", "wall_rate")]
    return (
        NAMES[key].name, NAMES[key].guarantee, f"{rows[0]['events']:,} ({rows[0]['customers']:,})", *rates,
        f"{max(each['rss'] for each in rows):,.0f}", _wrong(rows),
    )  # fmt: skip
