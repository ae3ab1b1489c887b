"""Files that mean harm, and what each costs: run as a module, it reads every one in a process of its own and prints the figures."""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from pathlib import Path

from rumbo.topology import Loaded

_HEAD = 'journey: j\nversion: "1"\n'


def trigger(expression: str) -> str:
    return f"{_HEAD}triggers: [{{id: t, event: A, where: {json.dumps(expression)}, action: {{kind: m, purpose: p, expires_after: 1d}}}}]\n"


HOSTILE = {
    "10,000 levels": "journey: " + "[" * 10_000,
    "10,000 levels of mappings": "journey: " + "{a: " * 10_000,
    "10,000 block levels": "".join(f"{' ' * at}a:\n" for at in range(10_000))[:500_000],
    "aliases that multiply": "a: &a [x, x]\n" + "".join(f"b{at}: &b{at} [*b{at - 1}, *b{at - 1}]\n" for at in range(1, 60)),
    "many aliases": "a: &a x\nb: [" + "*a, " * 20_000 + "x]",
    "a merge of itself": f"{_HEAD}define: &d\n  <<: *d\n",
    "an unknown tag": "journey: !!python/object/apply:os.system [ls]\n",
    "many tags": "a: [" + "!x y, " * 20_000 + "y]",
    "a huge file": "x: " + "y" * 2_000_000,
    "many values": "x: [" + "1," * 200_000 + "1]",
    "many keys": "".join(f"k{at}: v\n" for at in range(45_000)),
    "one key many times": "k: v\n" * 90_000,
    "a long text in many lines": 'x: "' + "a\n" * 250_000 + '"',
    "many comments": "#\n" * 250_000 + "x",
    "two documents": "journey: a\n---\njourney: b\n",
    "no text": "x: \x00\x01",
    "not YAML": "journey: [unclosed\n  - : :",
    "a long expression": trigger("a && " * 2_000 + "a"),
    "a long sum": trigger("a + " * 90 + "a"),
    "a deep expression": trigger("(" * 900 + ")" * 900),
    "an expression of 10,000 levels": trigger("!" * 10_000 + "true"),
    "a wide expression": trigger(" || ".join(["1 == 1"] * 180)),
    "many names nearly the same": _HEAD + "triggers:\n" + "".join(f"  - {{id: reminder{chr(97 + at % 26)}{chr(97 + at // 26 % 26)}{chr(97 + at // 676)}, event: A}}\n" for at in range(1_500)),
    "many stages": _HEAD + "stages:\n  - s\n" + "".join(f"  - s{at}: {{when: {{stage: s{at + 1}}}}}\n" for at in range(1_000)),
    "policies that are not there, each nearly one that is": _HEAD + "policies:\n" + "".join(f"  policy{at}: {{}}\n" for at in range(3_000)) + "triggers:\n" + "".join(f"  - {{id: t{at}, event: A, policy: polisy{at}}}\n" for at in range(3_000)),
    "conditions that are not there": _HEAD + "define:\n" + "".join(f"  busy{at}: {{event: A}}\n" for at in range(3_000)) + "triggers:\n" + "".join(f"  - {{id: t{at}, when: bussy{at}}}\n" for at in range(3_000)),
    "scores that are not there": _HEAD + "scores:\n" + "".join(f"  score{at}: {{points: []}}\n" for at in range(2_000)) + "triggers:\n" + "".join(f"  - {{id: t{at}, when: {{where: \"score('scoer{at}') > 1\"}}}}\n" for at in range(2_000)),
    "keys that are nearly known": _HEAD + "".join(f"scores{at}: 1\n" for at in range(13_000)),
    "segments that name each other": _HEAD + "segments:\n" + "".join(f"  s{at}: {{segment: s{at + 1}}}\n" for at in range(5_500)),
    "segments that name each other twice": _HEAD + "segments:\n" + "".join(f"  s{at}: {{all: [{{segment: s{at + 1}}}, {{not: {{segment: s{at + 1}}}}}]}}\n" for at in range(1_000)),
    "many cells": _HEAD + "scores:\n  f: {traits: [{where: traits.x, points: 1}], grades: [{A: 1}]}\n  e: {points: [{event: A, points: 1}], bands: [{b: {enter: 1}}]}\nmatrix:\n  rows: f\n  columns: e\n  cells:\n" + "".join(f"    c{at}: A/x\n" for at in range(9_000)),
    "rules of one name": _HEAD + "scores:\n  s:\n    points:\n" + "      - {event: A, points: 1}\n" * 5_500,
    "names that name each other": _HEAD + "define:\n" + "".join(f"  d{at}: {{all: [d{at + 1}, d{at + 1}]}}\n" for at in range(3_000)),
}  # fmt: skip


def cost(text: str) -> dict[str, object]:
    """Read one file as a journey. CPU seconds, MiB beyond what the process had, the first problem."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "topology.yaml").write_text("topology: test\nsources: [{topic: web}]\njourneys: [journey.yaml]\n")
        (folder / "journey.yaml").write_text(text)
        before, begun = _resident(), time.process_time()
        problems = Loaded(folder).problems
        seconds, after = time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "mib": (after - before) / 1024, "said": str(problems[0]) if problems else ""}


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def apart(text: str) -> dict[str, object]:
    """The same in a process of its own, so that one file's memory is not the next one's."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(cost(text)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        found: dict[str, object] = json.loads(pipe.read())
    os.waitpid(child, 0)
    return found


if __name__ == "__main__":
    print(json.dumps({name: apart(text) for name, text in HOSTILE.items()}, indent=1))
