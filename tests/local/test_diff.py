"""Two versions over one history: nothing for equal definitions, and what brute force finds otherwise."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core.instant import DAY, isoformat
from rumbo.intake import Record
from rumbo.local import simulate
from rumbo.local.diff import compare
from rumbo.topology import Loaded

START = 1_767_225_600_000_000
JOURNEY = """
journey: j
version: "{version}"
scores: {{s: {{points: [{{event: A, points: {points}}}, {{event: B, points: -2}}], bands: [{{low: {{enter: 5, leave: 3}}}}]}}}}
stages: [one, {{two: {{when: {{event: A, at_least: {count}, within: 5d}}}}}}, {{gone: {{side: true, when: {{idle: A, for: {idle}d}}, until: {{event: A}}}}}}]
triggers:
  - {{id: note, event: A, where: "event.properties.n >= {least}", cooldown: {cool}d, action: {{kind: m, template: {template}, purpose: p, expires_after: 1d}}}}
  - {{id: quiet, absence: {{of: A, for: {idle}d}}, action: {{kind: m, purpose: p, expires_after: 1d}}}}
  - {{id: hot, score: {{name: s, entered: low}}, action: {{kind: m, purpose: p, expires_after: 1d}}}}
"""

versions = st.fixed_dictionaries(
    {
        "version": st.sampled_from(["1.0", "1.1", "2.0"]), "points": st.sampled_from([2, 3]), "count": st.sampled_from([2, 3]),
        "idle": st.sampled_from([2, 3]), "least": st.sampled_from([1, 2]), "cool": st.sampled_from([1, 4]), "template": st.sampled_from(["x", "y"]),
    }
)  # fmt: skip
histories = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from("AB"), st.sampled_from("uvw"), st.integers(0, 3)), max_size=25
)


@pytest.fixture(scope="module")
def topology(tmp_path_factory):
    folder, known = tmp_path_factory.mktemp("diff"), {}

    def make(version):
        text = JOURNEY.format(**version)
        if text not in known:
            (folder / "topology.yaml").write_text(
                "topology: t\nsources: [{topic: web, lateness: 0s}]\njourneys: [j.yaml]\n"
            )
            (folder / "j.yaml").write_text(text)
            found = Loaded(folder)
            assert found.errors == []
            known[text] = found.topology
        return known[text]

    return make


def records(history):
    """Half days from the start, in order."""
    for number, (half_day, name, customer, n) in enumerate(sorted(history)):
        said = {
            "type": "track", "event": name, "userId": customer, "messageId": str(number), "properties": {"n": n},
            "timestamp": isoformat(START + half_day * DAY // 2),
        }  # fmt: skip
        yield Record(offset=number, value=msgspec.json.encode(said))


def brute_force(old, new, history, end):
    """Both run alone, every decision written out; then each customer and rule by itself, with lists only."""

    def decided(topology):
        found = {}
        for each in simulate(topology, records(history), until=end):
            said = msgspec.to_builtins(each.data)
            content = repr(sorted((key, value) for key, value in said.items() if key not in {"because", "version"}))
            name = said.get("trigger") or said.get("to") or said.get("score") or said["stage"]
            rule = each.customer, each.kind.replace("requested", "x").replace("suppressed", "x"), name
            found.setdefault(rule, []).append((each.at, each.kind, content))
        return found

    counts = Counter()
    before, after = decided(old), decided(new)
    for rule in {*before, *after}:
        mine, theirs = list(before.get(rule, ())), list(after.get(rule, ()))
        for each in list(mine):
            if each in theirs:
                mine.remove(each)
                theirs.remove(each)
                counts["same"] += 1
        for each in list(mine):
            like = next((other for other in theirs if other[0] == each[0]), None)
            if like is not None:
                mine.remove(each)
                theirs.remove(like)
                counts["changed"] += 1
        line = "".join(
            side for _, side in sorted([(each[0], "o") for each in mine] + [(each[0], "n") for each in theirs])
        )
        while line:
            moved = line[:2] in {"on", "no"}
            counts["moved" if moved else {"o": "removed", "n": "added"}[line[0]]] += 1
            line = line[2 if moved else 1 :]
    return counts


@given(histories, versions)
def test_equal_definitions_differ_in_nothing(topology, history, version):
    """Whatever the history, and whatever the version is called."""
    other = {**version, "version": "7.3"}
    for new in (version, other):
        found = compare(topology(version), topology(new), records(history), until=START + 30 * DAY)
        assert found.empty
        assert found.sample == []


@given(histories, versions, versions)
def test_the_difference_is_what_brute_force_finds(topology, history, old, new):
    """Each run alone and compared list by list."""
    end = START + 30 * DAY
    found = compare(topology(old), topology(new), records(history), until=end)
    counts = brute_force(topology(old), topology(new), history, end)
    assert {name: found.total(name) for name in ("same", "added", "removed", "moved", "changed")} == {
        name: counts[name] for name in ("same", "added", "removed", "moved", "changed")
    }


@given(histories, versions, versions)
def test_the_other_way_round_added_is_removed(topology, history, old, new):
    """A comparison has two sides and no favourite."""
    there = compare(topology(old), topology(new), records(history))
    back = compare(topology(new), topology(old), records(history))
    assert (there.total("added"), there.total("removed")) == (back.total("removed"), back.total("added"))
    assert (there.total("moved"), there.total("changed")) == (back.total("moved"), back.total("changed"))


BASE = {"version": "1.0", "points": 2, "count": 2, "idle": 2, "least": 1, "cool": 1, "template": "x"}


def one(topology, change, history, rule):
    found = compare(topology(BASE), topology({**BASE, **change}), records(history), until=START + 30 * DAY)
    return {(row.outcome, name): getattr(row, name) for row in found.rows if row.rule == rule for name in ("added", "removed", "moved", "changed") if getattr(row, name)}, found  # fmt: skip


def test_a_rule_is_told_by_what_became_of_it(topology):
    """Removed by a filter, moved by a length, changed by a word, held back by a gate."""
    history = [(0, "A", "u", 1), (2, "A", "u", 1), (4, "A", "u", 2)]
    assert one(topology, {"least": 2}, history, "trigger note")[0] == {("emitted", "removed"): 2}
    assert one(topology, {"idle": 3}, history, "trigger quiet")[0] == {("emitted", "moved"): 1}
    rows, found = one(topology, {"template": "y"}, history, "trigger note")
    assert rows == {("emitted", "changed"): 3}
    assert found.sample[0].parts == ("params",)
    rows, found = one(topology, {"cool": 4}, history, "trigger note")
    assert rows == {("emitted -> cooldown", "changed"): 2}
    assert found.sample[0].new is not None
    assert found.sample[0].new.gate == "cooldown"
    assert found.sample[0].new.data["because"]["events"][0]["name"] == "A"
    assert found.customers_with_differences == 1
