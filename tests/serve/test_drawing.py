"""Pictures of a journey: complete, well-formed whatever the author wrote, readable in light and in dark."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rumbo.core import definition as d
from rumbo.core.instant import DAY
from rumbo.serve.drawing import drawing
from rumbo.serve.mermaid import mermaid
from rumbo.serve.svg import svg
from rumbo.topology import load
from tests.packages import MERMAID, npm_file

SHIPPED = sorted(path.parent for path in Path("topologies").glob("*/topology.yaml"))
SVG = "{http://www.w3.org/2000/svg}"
PARSE = """
Function.prototype.addHook = () => {}; Function.prototype.sanitize = (text) => text;  // what a browser's DOM would give it
require('vm').runInThisContext(require('fs').readFileSync(process.argv[2], 'utf8'));
(async () => {
  const said = [];
  for (const text of JSON.parse(require('fs').readFileSync(0, 'utf8')))
    said.push(await globalThis.mermaid.parse(text).then((found) => found.diagramType, (error) => error.message));
  console.log(JSON.stringify(said));
})();
"""
HOSTILE = (
    'say "no"',
    "a;b",
    "end",
    "x --> y",
    "a|b",
    "`md`",
    "<b>&amp;</b>",
    "#35;",
    "]] }} ))",
    "%% no",
    "café 漢字 🎉",
    "a\nb\tc",
    "\\",
    "x" * 300,
)


def journey(name: str, condition: d.Condition | None = None) -> d.Journey:
    """Every kind of edge and rule, all of them called so."""
    when = condition or d.Where(name)
    stages = (
        d.Stage("first"), d.Stage(f"{name} two", when), d.Stage("three", when, back=(d.Back("first", when),), until=when),
        d.Stage(f"{name} aside", when, side=True, until=when), d.Stage("out", when, side=True, sources=("three",)),
    )  # fmt: skip
    action = d.Action(name, {name: name}, {"image": d.Choice(name, {})})
    triggers = (
        d.Trigger(name, d.OnStage("three"), action),
        d.Trigger("b", d.OnEvent(d.EventTest(("x",), name, name)), action, mode="shadow"),
    )
    scores = (d.Score(name, (d.Points("k", d.EventTest(("x",), None, name), 3.0),), bands=(d.Band(name, 2, 1),)),)
    flows = (d.Flow("f", d.Enter(d.OnEvent(d.EventTest(("x",), None, name))), steps(name, when), when, when),)
    return d.Journey("j", "1.0", scores, stages, triggers, segments=(d.Segment(name, when),), flows=flows)


def steps(name: str, when: d.Condition) -> tuple[d.FlowStep, ...]:
    """Every kind of step; ways on to the next one, back, far on, and out."""
    every: tuple[Any, ...] = (
        d.Wait(until=when, length=DAY, otherwise="leave"), d.BranchTo(((when, "last"), (when, name)), "next"),
        d.Split("e", (d.Variant(name, 0.5), d.Variant("b", 0.5, "last"))), d.Act(d.Action(name, {name: name})),
        d.SetTrait("t", "1"), d.Wait(second=36_000), d.Go(name), d.Goal(name),
    )  # fmt: skip
    return (
        *(d.FlowStep(name if at == 0 else f"s{at}", do) for at, do in enumerate(every)),
        d.FlowStep("last", d.Leave()),
    )


def read(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314  our own text


@pytest.fixture(scope="session")
def parsed(tool, tmp_path_factory):
    """What Mermaid itself says of some texts."""
    folder = tmp_path_factory.mktemp("mermaid")
    (folder / "mermaid.js").write_bytes(npm_file(MERMAID, "dist/mermaid.min.js"))
    (folder / "parse.js").write_text(PARSE)

    def ask(texts):
        command = [tool("node"), str(folder / "parse.js"), str(folder / "mermaid.js")]
        return json.loads(
            subprocess.run(
                command, input=json.dumps(texts), capture_output=True, text=True, check=True, timeout=60
            ).stdout
        )

    return ask


def test_mermaid_reads_what_is_written(parsed):
    """What ships, alone and together, and names that would end a label; a planted mistake is noticed."""
    known = [load(folder) for folder in SHIPPED]
    shipped = [drawing(each, one.accounts) for one in known for each in one.journeys]
    texts = (
        [mermaid([each]) for each in shipped]
        + [mermaid(shipped)]
        + [mermaid([drawing(journey(name), accounts(name))]) for name in HOSTILE]
    )
    assert parsed(texts) == ["flowchart-v2"] * len(texts)
    assert "flowchart-v2" not in parsed(["flowchart TD\n    a --> --> b\n"])


def accounts(name: str) -> d.Accounts:
    """Every rule of accounts, all of them called so."""
    left = d.EventTest(("x",), name, name)
    return d.Accounts("j", name, left, name, (name,), 2, {name: 3}, (d.RollUp(name, "sum", 300.0, 5.0),))


@pytest.mark.parametrize("draw", [mermaid, svg])
def test_what_accounts_make_of_a_journey_is_drawn_with_it_and_with_no_other(draw):
    """Who counts, how many a stage needs, how scores are rolled up."""
    made = d.Accounts(
        "j",
        leave=d.EventTest(("x",), None, "Left"),
        roles=("buyer",),
        contacts=2,
        scores=(d.RollUp("s", "sum", 300.0),),
    )
    text = " ".join(re.sub("<[^>]+>", " ", draw([drawing(journey("x"), made)])).split())
    for said in (
        "customers whose role is buyer",
        "until Left",
        "the highest with 2 contacts",
        "the sum of theirs, at most 300",
    ):
        assert said in text
    other = draw([drawing(journey("x"), replace(made, journey="k")), drawing(journey("x"))])
    assert "whose role" not in re.sub("<[^>]+>", " ", other)


def test_every_edge_and_trigger_is_in_the_flowchart():
    """A side stage that everyone may enter is entered from the frame, others from their own stages."""
    text = mermaid([drawing(journey("x"))])
    edges = [line.strip() for line in text.splitlines() if ("-->" in line or "-.->" in line) and "j0f0" not in line]
    assert edges == [
        'j0s0 -->|"x"| j0s1', 'j0s1 -->|"x"| j0s2', 'j0s2 -.->|"x"| j0s0', 'j0s2 -.->|"x (to the highest that holds)"| j0s1',
        'j0all -.->|"x"| j0s3', 'j0s3 -.->|"x (to the highest that holds)"| j0all', 'j0s2 -.->|"x"| j0s4',
    ]  # fmt: skip
    assert "j0s2 -.- j0t0" in text
    assert [line.strip() for line in text.splitlines() if re.match(r" +j0f0\w+ -->| +j0f0\w+\{\{", line)] == [
        "j0f0in --> j0f0s0",
        'j0f0s0 -->|"x"| j0f0s1',
        'j0f0s0 -->|"after 1d"| j0f0end',
        'j0f0s1 -->|"x"| j0f0s8',
        'j0f0s1 -->|"x"| j0f0s0',
        'j0f0s1 -->|"otherwise"| j0f0s2',
        'j0f0s2 -->|"x 0.5"| j0f0s3',
        'j0f0s2 -->|"b 0.5"| j0f0s8',
        "j0f0s3 --> j0f0s4",
        "j0f0s4 --> j0f0s5",
        "j0f0s5 --> j0f0s6",
        "j0f0s6 --> j0f0s0",
        "j0f0s7 --> j0f0end",
        "j0f0s8 --> j0f0end",
        'j0f0exit{{"exit, at any step: x"}} -.-> j0f0end',
        'j0f0goal{{"goal, at any step: x"}} -.-> j0f0end',
    ]
    assert "b (shadow)<br/>x where x<br/>" in text


@given(st.text(min_size=1, max_size=80))
def test_an_svg_is_well_formed_whatever_the_author_wrote(name):
    """And carries no script, no link, nothing from elsewhere."""
    root = read(svg([drawing(journey(name)), drawing(journey("second"))]))
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg",
        "title",
        "desc",
        "style",
        "rect",
        "g",
        "text",
        "path",
        "polygon",
    }
    assert all(not value.startswith("http") for each in root.iter() for value in each.attrib.values())


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_an_svg_shows_and_says_everything(folder):
    """Each stage, trigger, score and segment; a title and a description for those who cannot see it."""
    drawn = [drawing(each) for each in load(folder).journeys]
    root = read(svg(drawn))
    assert [each.tag.removeprefix(SVG) for each in root[:2]] == ["title", "desc"]
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"].split() == [root[0].attrib["id"], root[1].attrib["id"]]
    shown = [each.text for each in root.iter(f"{SVG}text")]
    for one in drawn:
        names = (
            [each.stage for each in one.stages]
            + [each.trigger for each in one.triggers]
            + [each.segment for each in one.segments]
            + [f"Flow {each.flow}" for each in one.flows]
            + [step.step for each in one.flows for step in each.steps]
        )
        assert set(names) <= set(shown)
        for step in (step for each in one.flows for step in each.steps):
            assert f"Step {step.step}: {step.text}." in root[1].text
        for name in (each.stage for each in one.stages):
            assert name in root[1].text


@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=60))
def test_boxes_do_not_overlap_and_stay_on_the_paper(name):
    root = read(svg([drawing(journey(name))]))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    boxes = [
        tuple(float(each.attrib[key]) for key in ("x", "y", "width", "height"))
        for each in root.iter(f"{SVG}rect")
        if "x" in each.attrib
    ]
    assert len(boxes) == 5 + 9 + 1
    for at, (x, y, wide, high) in enumerate(boxes):
        assert min(x, y) >= 0
        assert x + wide <= width
        assert y + high <= height
        for other_x, other_y, other_wide, other_high in boxes[:at]:
            assert x >= other_x + other_wide or other_x >= x + wide or y >= other_y + other_high or other_y >= y + high
    assert all(0 <= float(each.attrib["y"]) <= height for each in root.iter(f"{SVG}text"))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_colour_can_be_read_on_its_ground():
    """WCAG 2.2: 4.5 to 1 for text, 3 to 1 for lines, in the light scheme and in the dark one."""
    style = svg([drawing(journey("x"))]).split("<style>")[1].split("</style>")[0]
    for scheme in (style.split("@media")[0], style.split("@media")[1]):
        colour = {
            (name, kind): value
            for name, body in re.findall(r"\.?([\w-]+) \{([^{}]*)\}", scheme)
            for kind, value in re.findall(r"(fill|stroke): (#\w{6})", body)
        }
        texts, grounds = (
            [colour["text", "fill"], colour["quiet", "fill"]],
            [colour[each, "fill"] for each in ("paper", "box", "side")],
        )
        lines = [colour[each, "stroke"] for each in ("way", "aside", "back", "box", "side")]
        for fore, least in [(each, 4.5) for each in texts] + [(each, 3.0) for each in lines]:
            for ground in grounds:
                light, dark = sorted((luminance(fore), luminance(ground)), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= least, (fore, ground)
