"""The command line as a user meets it: what it prints, where, and what it ends with."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rumbo.cli import COMMANDS
from rumbo.cli import rumbo as commands
from tests.intake.poison import POISON, is_rejected

ROOT = Path(__file__).parents[2]
EVENT = '{"type":"track","event":"Demo Requested","messageId":"1","userId":"u","timestamp":"2026-01-01T00:00:00Z","properties":{"total":7}}'


def rumbo(*arguments: str, stdin: str = "", cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rumbo.cli", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        input=stdin,
        timeout=60,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
    )


def test_help_names_every_command():
    done = rumbo("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert name in done.stdout
        said = CliRunner().invoke(commands, [name, "--help"])
        assert (said.exit_code, said.output.startswith("Usage: ")) == (0, True), name


def test_usage_is_2():
    assert rumbo("nonsense").returncode == 2
    assert rumbo("simulate", "topologies/saas").returncode == 2
    assert rumbo("simulate", "topologies/saas", "--input", "/nowhere").returncode == 2


def test_a_wrong_definition_never_starts(tmp_path):
    """Exit 78 from every command that needs it, with every problem and no stack trace."""
    (tmp_path / "topology.yaml").write_text("topology: x\nsorces: []\njourneys: [j.yaml]\n")
    for command in (
        ["check", str(tmp_path)],
        ["test", str(tmp_path)],
        ["simulate", str(tmp_path), "--input", "-"],
        ["run", str(tmp_path)],
    ):
        done = rumbo(*command)
        assert done.returncode == 78
        said = done.stdout + done.stderr
        assert "did you mean 'sources'" in said
        assert "j.yaml:1: there is no such file" in said
        assert "Traceback" not in said


def test_check_for_people_programs_and_pull_requests(tmp_path):
    (tmp_path / "topology.yaml").write_text("topology: x\njourneys: []\n")
    line = json.loads(rumbo("check", str(tmp_path), "--json").stdout.splitlines()[0])
    assert {"file", "line", "message"} <= line.keys()
    assert rumbo("check", str(tmp_path), "--format", "github").stdout.startswith("::error file=")
    assert rumbo("check", "topologies/saas", "--strict").returncode == 0
    assert json.loads(rumbo("check", "topologies/saas", "--expand").stdout)[0]["id"] == "saas"


def test_init_gives_editors_the_schemas(tmp_path):
    """Each file names its own, and it is there."""
    assert rumbo("init", str(tmp_path / "mine")).returncode == 0
    for name in ("topology", "journey", "examples"):
        first = (tmp_path / "mine" / f"{name}.yaml").read_text().splitlines()[0]
        assert first == f"# yaml-language-server: $schema=.rumbo/{name}.schema.json"
        schema = json.loads((tmp_path / "mine" / ".rumbo" / f"{name}.schema.json").read_text())
        assert schema["$id"] == f"urn:rumbo:schema:{name}.schema.json"


def test_examples_that_do_not_hold_are_1(tmp_path):
    """With what was missing and what came instead."""
    rumbo("init", str(tmp_path / "mine"))
    assert rumbo("test", str(tmp_path / "mine")).returncode == 0
    examples = tmp_path / "mine" / "examples.yaml"
    examples.write_text(
        examples.read_text().replace("after: 14d, action: feature_not_used", "after: 13d, action: feature_not_used")
    )
    done = rumbo("test", str(tmp_path / "mine"))
    assert done.returncode == 1
    assert "missing  after 13d: action feature_not_used (instead: after 14d" in done.stdout


def test_simulate_writes_decisions_profiles_and_rejects(tmp_path):
    profiles, rejects = tmp_path / "profiles", tmp_path / "rejects"
    done = rumbo(
        "simulate", "topologies/saas", "--input", "-", "--until", "2026-02-01T00:00:00Z", "--profiles", str(profiles), "--rejects", str(rejects),
        stdin=f"{EVENT}\n{EVENT}\n\n{{broken\n",
    )  # fmt: skip
    assert done.returncode == 0
    assert "3 records, 2 processed, 1 rejected, 1 customers" in done.stderr
    assert [json.loads(line)["specversion"] for line in done.stdout.splitlines()] == ["1.0"] * len(
        done.stdout.splitlines()
    )
    profile = json.loads(profiles.read_text())
    assert profile["journeys"]["saas"]["stage"] == "awareness"
    assert 0 < profile["journeys"]["saas"]["scores"]["engagement"]["value"] < 40
    assert json.loads(rejects.read_text())["rejected"] == "not_json"


def test_simulate_says_which_fields_no_rule_could_use(tmp_path):
    """Where, what and the cure, for people and as data; without such a field nothing is said of it."""
    (tmp_path / "topology.yaml").write_text("topology: x\nsources: [web]\njourneys: [j.yaml]\n")
    (tmp_path / "j.yaml").write_text(
        "journey: shop\nversion: '1.0'\ntriggers:\n  - {id: big, event: Order Completed, where: event.properties.total > 50,"
        " action: {kind: task, purpose: service, expires_after: 1h}}\n"
    )
    orders = [
        json.dumps({"type": "track", "event": "Order Completed", "messageId": str(at), "userId": "u", "timestamp": f"2026-01-0{at}T00:00:00Z", "properties": {"total": total}})
        for at, total in enumerate((70, "70", "80"), 1)
    ]  # fmt: skip
    command = ("simulate", str(tmp_path), "--input", "-")
    done = rumbo(*command, stdin="\n".join(orders))
    assert len(done.stdout.splitlines()) == 1
    assert (
        "2  shop: trigger big: event.properties.total came as string, needed is number; "
        "let the producer send a number, or write double(event.properties.total)"
    ) in done.stderr
    said = json.loads(rumbo(*command, "--quiet", "--json", stdin="\n".join(orders)).stdout)
    assert said["processed"] == 3
    assert [(each["rule"], each["interactions"]) for each in said["mistyped"]] == [("trigger big", 2)]
    assert "another type" not in rumbo(*command, stdin=orders[0]).stderr


def test_simulate_puts_the_poison_aside_and_goes_on(tmp_path):
    """The whole poison set as Kafka records among good ones: each reject with its reason, every neighbour processed."""
    rejects, lines = tmp_path / "rejects", []
    for number, poison in enumerate(POISON):
        record = {
            "topic": "product-events",
            "partition": 0,
            "offset": 2 * number,
            "key": None,
            "headers": None,
            "timestamp_ms": 1_767_225_600_000,
        }
        lines.append(
            json.dumps({**record, "value": None if poison.value is None else base64.b64encode(poison.value).decode()})
        )
        good = EVENT.replace('"1"', f'"good-{number}"').replace('"u"', f'"good-{number}"')
        lines.append(
            json.dumps({**record, "offset": 2 * number + 1, "value": base64.b64encode(good.encode()).decode()})
        )
    done = rumbo(
        "simulate", "topologies/saas", "--input", "-", "--rejects", str(rejects), "--quiet", stdin="\n".join(lines)
    )
    assert done.returncode == 0
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [each["rejected"] for each in found] == [poison.verdict for poison in POISON if is_rejected(poison)]
    processed = 2 * len(POISON) - len(found) - sum(poison.verdict == "skip" for poison in POISON)
    assert f"{2 * len(POISON)} records, {processed} processed" in done.stderr


def test_diff_prints_a_table_and_says_what_it_is_not(tmp_path):
    """0 for equal definitions, 1 where something differs; the same as JSON."""
    history = tmp_path / "events.jsonl"
    history.write_text(EVENT + "\n" + EVENT.replace("Demo Requested", "Account Created").replace('"1"', '"2"') + "\n")
    same = rumbo("diff", "topologies/saas", "topologies/saas", "--input", str(history))
    assert same.returncode == 0
    assert "not how people would have reacted" in same.stdout
    rumbo("init", str(tmp_path / "mine"))
    journey = tmp_path / "mine" / "journey.yaml"
    journey.write_text(journey.read_text().replace("for: 14d, since", "for: 12d, since"))
    options = ("--input", str(history), "--until", "2026-02-01T00:00:00Z")
    done = rumbo("diff", "topologies/saas", str(tmp_path / "mine"), *options)
    assert done.returncode == 1
    assert "moved trigger feature_not_used for u: at, expires_at, scores" in done.stdout
    found = json.loads(rumbo("diff", "topologies/saas", str(tmp_path / "mine"), *options, "--json").stdout)
    assert found["totals"]["moved"] == 1
    assert "not how people would have reacted" in found["says"]


def test_explain_and_why_not_are_trees_a_marketer_can_read(tmp_path):
    """Yes and no by name, what was seen, what would have had to differ; the same as JSON; the same from standard input."""
    history = EVENT.replace("Demo Requested", "Account Created") + "\n"
    (tmp_path / "events.jsonl").write_text(history)
    options = ("--topology", "topologies/saas", "--input", str(tmp_path / "events.jsonl"))
    decided = [json.loads(line) for line in rumbo("simulate", "topologies/saas", *options[2:]).stdout.splitlines()]
    welcome = next(each for each in decided if each["data"].get("trigger") == "welcome")
    done = rumbo("explain", welcome["id"][:12], *options)
    assert done.returncode == 0
    assert "because of Account Created 1 at 2026-01-01T00:00:00Z" in done.stdout
    assert "yes     stage onboarding entered" in done.stdout
    assert json.loads(rumbo("explain", welcome["id"], *options, "--json").stdout)["tree"][0]["holds"] is True
    assert rumbo("explain", "0000", *options).returncode == 1
    within = rumbo("explain", welcome["id"], *options[2:], cwd=ROOT / "topologies" / "saas")
    assert within.stdout == rumbo("explain", welcome["id"], *options).stdout
    nowhere = rumbo("explain", welcome["id"], *options[2:], cwd=tmp_path)
    assert (nowhere.returncode, "there is no such file" in nowhere.stderr) == (78, True)
    unread = rumbo("explain", "0000", *options[:-1], "nope.jsonl")
    assert (unread.returncode, "Invalid value for FILE: nope.jsonl: No such file" in unread.stderr) == (2, True)
    done = rumbo("why-not", "u", "feature_not_used", "--at", "2026-01-05T00:00:00Z", *options)
    assert done.returncode == 0
    assert "no      no Report Exported for 14d since stage onboarding entered" in done.stdout
    assert "- the silence must last until 2026-01-15T00:00:00Z" in done.stdout
    piped = rumbo(
        "why-not", "u", "welcome", "--at", "2026-01-01T00:00:00Z", *options[:-1], "-", "--json", stdin=history
    )
    assert (piped.returncode, json.loads(piped.stdout)["acted"]) == (1, welcome["id"])
    assert rumbo("why-not", "u", "welcom", "--at", "2026-01-01T00:00:00Z", *options).returncode == 2


def test_plan_says_what_to_collect_and_what_a_history_lacks(tmp_path):
    """0 for the plan alone, 1 where the history lacks something; the same as JSON."""
    done = rumbo("plan", "topologies/saas")
    assert done.returncode == 0
    assert "event.properties.path        string  score engagement, trigger ready_to_buy" in done.stdout
    assert "saas: 14 events, 8 fields" in done.stdout
    done = rumbo(
        "plan", "topologies/saas", "--input", "-", stdin=f"{EVENT}\n{EVENT.replace('Requested', 'Declined')}\n"
    )
    assert done.returncode == 1
    assert "came and is never mentioned: Demo Declined 1" in done.stdout
    assert "Trial Started never came" in done.stdout
    assert "*: event.account was in none of 2" in done.stdout
    found = json.loads(rumbo("plan", "topologies/saas", "--input", "-", "--json", stdin=EVENT).stdout)
    assert "Page Viewed never came" in found["findings"]
    assert json.loads(rumbo("plan", "topologies/saas", "--json").stdout)["events"][0]["key"] == "accountcreated"


def test_draw_writes_a_flowchart_or_a_picture():
    assert rumbo("draw", "topologies/saas").stdout.startswith("flowchart TD\n")
    assert rumbo("draw", "topologies/saas", "--format", "svg", "--journey", "saas").stdout.startswith("<svg xmlns=")
    done = rumbo("draw", "topologies/saas", "--journey", "sas")
    assert (done.returncode, "there are saas" in done.stderr) == (2, True)


def test_inspect_and_eval(tmp_path):
    found = [json.loads(line) for line in rumbo("inspect", "-", stdin=f"{EVENT}\n[]\n").stdout.splitlines()]
    assert found[0]["name"] == "Demo Requested"
    assert found[1]["rejected"] == "not_an_object"
    assert rumbo("eval", "event.properties.total >= 5", "--event", EVENT).stdout.splitlines()[0] == "true"
    assert json.loads(rumbo("eval", "event.properties.gone > 1", "--event", EVENT, "--json").stdout)["unknown"] is True
    assert rumbo("eval", "event.properties.total >", "--event", EVENT).returncode == 1
    ordered = '{"event":"A","userId":"u","timestamp":"2026-01-01T07:00:00Z","properties":{"total":25}}'
    shown = rumbo(
        "eval", "event.time.getHours() > 3 ? event.properties.total : 1", "--event", ordered
    ).stdout.splitlines()
    assert shown == [
        "25",
        '  yes      event.time.getHours() > 3   saw {"event.time":"2026-01-01T07:00:00Z"}',
        '  25       event.properties.total   saw {"event.properties.total":25}',
    ]
    (leaf,) = json.loads(rumbo("eval", "event.properties.total", "--event", ordered, "--json").stdout)["leaves"]
    assert (leaf["holds"], leaf["value"]) == (None, 25)
    now = rumbo(
        "eval",
        "event.time.getFullYear() > 2020 && idle('A') == duration('1d')",
        "--event",
        '{"event":"A","userId":"u"}',
    )
    assert now.stdout.splitlines()[0] == "unknown"
    assert rumbo("eval", "true", "--event", "{").returncode == 2


def test_a_misspelt_setting_is_an_error():
    """With the nearest one that exists."""
    done = rumbo("run", "topologies/saas", RUMBO__BROKERS="x:1")
    assert done.returncode == 78
    assert "did you mean RUMBO__BROKER?" in done.stderr


@pytest.mark.parametrize(
    ("environment", "code", "cure"),
    [
        ({"RUMBO__STATEDIR": "x"}, 78, "RUMBO__STATEDIR is not a setting; did you mean RUMBO__STATE_DIR?"),
        ({"RUMBO__MAX_BATCH": "many"}, 78, "RUMBO__MAX_BATCH: Input should be a valid integer"),
        ({"RUMBO__SECURITY": "sasl_ssl"}, 78, "SASL needs RUMBO__USERNAME and RUMBO__PASSWORD_FILE"),
        (
            {"RUMBO__SECURITY": "sasl_ssl", "RUMBO__USERNAME": "u", "RUMBO__PASSWORD_FILE": "/nowhere/password"},
            78,
            "RUMBO__PASSWORD_FILE: /nowhere/password does not exist: write the secret there and `chmod 600` it",
        ),
        (
            {"RUMBO__SECURITY": "ssl", "RUMBO__CA_FILE": "README.md"},
            78,
            "RUMBO__CA_FILE: README.md holds no certificate in PEM",
        ),
        ({"RUMBO__WEB_HOST": "192.0.2.1"}, 78, "that needs a token (RUMBO__WEB_TOKEN_FILE) and TLS"),
        ({"RUMBO__BROKER": "127.0.0.1:1"}, 69, "is it running, and is RUMBO__BROKER (with its security) right?"),
        (
            {"RUMBO__BROKER": "no.such.host.invalid:9092", "RUMBO__INSECURE": "true"},
            69,
            "no such host: is RUMBO__BROKER right?",
        ),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_one_message_with_the_cure(tmp_path, environment, code, cure):
    """78 for what is written wrongly, 69 for a broker that is away; no stack trace, nothing else said."""
    environment = {"RUMBO__STATE_DIR": str(tmp_path), "RUMBO__WEB_PORT": "0", **environment}
    if "RUMBO__WEB_HOST" in environment:
        environment["RUMBO__WEB_PORT"] = "6066"
    done = rumbo("run", "topologies/saas", **environment)
    assert (done.returncode, done.stdout) == (code, "")
    assert cure in done.stderr
    assert done.stderr.startswith("rumbo: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == (2 if code == 78 else 1)


def test_plaintext_beyond_this_machine_needs_a_word():
    done = rumbo("run", "topologies/saas", RUMBO__BROKER="kafka.example.com:9092")
    assert done.returncode == 78
    assert "RUMBO__INSECURE" in done.stderr


def test_acls_are_commands_for_a_shell_and_lines_for_a_program():
    """The principal is quoted; nothing is asked of the cluster, and nothing is granted to everybody."""
    done = rumbo("acls", "topologies/saas", "--principal", "User:CN=rumbo worker")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert all(
        line.startswith("kafka-acls.sh ") and "--allow-principal 'User:CN=rumbo worker'" in line for line in lines
    )
    assert "--cluster" not in done.stdout
    found = [json.loads(line) for line in rumbo("acls", "topologies/saas", "--json").stdout.splitlines()]
    assert len(found) == len(lines)
    by_name = {each["name"]: each["operations"] for each in found}
    assert by_name["product-events"] == ["Read"]
    assert by_name["rumbo.actions.v1"] == ["Write", "DescribeConfigs"]
    assert by_name["saas-profiles-changelog"] == ["Read", "Write", "DescribeConfigs"]
    assert by_name["saas"] == ["Read"]
    assert by_name["saas-contacts"] == ["Read", "Write", "DescribeConfigs"]
    assert [each["name"] for each in found if each["prefixed"]] == ["saas-profiles-", "saas-accounts-"]
    assert rumbo("acls", "topologies/saas", "--create").returncode == 2


def test_a_reader_that_leaves_is_no_error():
    """`rumbo simulate … | head -1`."""
    command = f"yes '{EVENT}' | sed 's/\"1\"/\"x\"/' | head -2000 | {sys.executable} -m rumbo.cli inspect - | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["customer"] == "u"


@pytest.mark.parametrize("name", ["stage.changed.v1.json", "asyncapi.json"])
def test_schema_prints_a_document(name):
    assert json.loads(rumbo("schema", name).stdout)
