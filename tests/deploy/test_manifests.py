"""What is deployed is what the schemas of its tools allow, with settings that a worker takes, and the hardening that SECURITY.md promises."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import jsonschema_rs
import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from rumbo.cli import rumbo
from rumbo.config import Settings, is_loopback, settings
from rumbo.errors import DefinitionError
from rumbo.topology import load
from tests.packages import COMPOSE as SCHEMA
from tests.packages import npm_file

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS = [each for name in KUSTOMIZATION["resources"] for each in yaml.safe_load_all((FOLDER / name).read_text())]
BY_KIND = {each["kind"]: each for each in OBJECTS}
STATEFUL = BY_KIND["StatefulSet"]["spec"]
POD = STATEFUL["template"]["spec"]
(CONTAINER,) = POD["containers"]
VERSIONS = ["1.33", "1.35", "1.37"]
WORKERS = ["worker-1", "worker-2"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("found", OBJECTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_every_object_is_one_of_its_kind(found, version):
    """By the strict schemas: a field that Kubernetes would drop is refused."""
    kubernetes_validate.validate(found, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found | {"sepc": {}}, version, strict=True)


def test_nothing_lies_there_that_is_not_applied():
    assert {path.name for path in FOLDER.glob("*.yaml")} == {*KUSTOMIZATION["resources"], "kustomization.yaml"}


@pytest.fixture
def files(tmp_path, tool):
    """Every file that the manifests name, made as the compose file makes them."""
    tool("openssl")
    subprocess.run([ROOT / "deploy/compose/secrets.sh", tmp_path / "web", *WORKERS, "localhost"], check=True)
    password = tmp_path / "password"
    password.write_text("a password")
    password.chmod(0o600)
    return {
        "web.tokens": tmp_path / "web/web.tokens", "tls.crt": tmp_path / "web/tls.crt", "tls.key": tmp_path / "web/tls.key",
        "ca.crt": tmp_path / "web/tls.crt", "password": password,
    }  # fmt: skip


def taken(environment, files):
    """The settings that a worker makes of it."""
    return settings(
        {
            name: str(files.get(Path(value).name, value)) if name.endswith("_FILE") else value
            for name, value in environment.items()
        }
    )


def test_a_pod_has_settings_that_a_worker_takes(files):
    """TLS and a login to Kafka, a token and TLS beyond the pod, a name that outlives it."""
    environment = BY_KIND["ConfigMap"]["data"] | {
        each["name"]: each["value"] for each in CONTAINER["env"] if "value" in each
    }
    assert {name for name in environment if name.startswith("RUMBO__")} == set(environment)
    known = taken(environment, files)
    assert known.security == "sasl_ssl"
    assert not known.insecure
    assert known.instance == "$(POD_NAME)"
    assert known.url() == "https://$(POD_NAME).rumbo:6066"
    with pytest.raises(DefinitionError, match="did you mean RUMBO__BROKER"):
        taken(environment | {"RUMBO__BROKR": "x:1"}, files)


def test_a_pod_is_hardened():
    """No root, no rights, nothing to write but its disk and /tmp, no token of Kubernetes, secrets by reference."""
    assert POD["securityContext"]["runAsNonRoot"]
    assert POD["securityContext"]["runAsUser"] == POD["securityContext"]["fsGroup"] == 10001
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is BY_KIND["ServiceAccount"]["automountServiceAccountToken"] is False
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip
    assert {each["name"] for each in CONTAINER["volumeMounts"] if not each.get("readOnly")} == {"state", "tmp"}
    assert {each["secret"]["secretName"] for each in POD["volumes"] if "secret" in each} == {"rumbo-kafka", "rumbo-web"}
    assert not [each for each in OBJECTS if each["kind"] == "Secret"]
    assert all(each["secret"]["defaultMode"] == 0o400 for each in POD["volumes"] if "secret" in each)


def test_a_worker_keeps_its_name_and_its_disk():
    """A pod ends within its grace, comes back under its name and its volume; one at a time is taken away."""
    assert STATEFUL["serviceName"] == BY_KIND["StatefulSet"]["metadata"]["name"]
    assert [each["metadata"]["name"] for each in STATEFUL["volumeClaimTemplates"]] == ["state"]
    assert STATEFUL["updateStrategy"]["type"] == "RollingUpdate"
    assert BY_KIND["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert POD["terminationGracePeriodSeconds"] > 10
    assert {CONTAINER[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe")} == {"/livez"}
    assert CONTAINER["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert CONTAINER["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in CONTAINER["resources"]["limits"]


def test_selectors_meet_the_pods():
    labels = STATEFUL["template"]["metadata"]["labels"].items()
    services = [each["spec"]["selector"] for each in OBJECTS if each["kind"] == "Service"]
    others = [
        STATEFUL["selector"],
        BY_KIND["PodDisruptionBudget"]["spec"]["selector"],
        BY_KIND["NetworkPolicy"]["spec"]["podSelector"],
    ]
    assert all(each.items() <= labels for each in (*services, *(each["matchLabels"] for each in others)))
    assert set(BY_KIND["NetworkPolicy"]["spec"]["policyTypes"]) == {"Ingress", "Egress"}


def test_the_compose_file_is_one():
    """By the specification's schema, and by a parser of it; a misspelt key is found by both."""
    schema = json.loads(
        npm_file(SCHEMA, "lib/schema.json")
    )  # fmt: skip
    validator = jsonschema_rs.validator_for(schema)
    assert [str(each)[:300] for each in validator.iter_errors(COMPOSE)] == []
    assert set(PyCompose.from_json(json.dumps(COMPOSE)).service_names()) == set(COMPOSE["services"])
    wrong = json.loads(json.dumps(COMPOSE))
    wrong["services"]["kafka"]["helthcheck"] = {}
    assert not validator.is_valid(wrong)
    with pytest.raises(ValueError, match="helthcheck"):
        PyCompose.from_json(json.dumps(wrong))


@pytest.mark.parametrize("name", WORKERS)
def test_a_composed_worker_has_settings_that_a_worker_takes(name, files):
    """Its page beyond the container only with a token and TLS; nothing to write but its volume and /tmp."""
    service = COMPOSE["services"][name]
    known = taken(service["environment"], files)
    assert known.instance == name
    assert known.tokens().read
    assert not is_loopback(known.web_host)
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [each for each in service["volumes"] if not each.endswith(":ro")] == [f"{name}:/state"]


def test_what_is_composed_is_there():
    """Mounted files exist; named volumes are declared; ports are open on this machine only; no image floats."""
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", ()):
            place = mount.split(":")[0]
            assert (ROOT / place).exists() if place.startswith(".") else place in COMPOSE["volumes"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert service["image"] == "rumbo" or re.search(r":v?\d", service["image"])
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"][0][
        "static_configs"
    ][0]["targets"]
    assert scraped == [f"{name}:6066" for name in WORKERS]


def test_the_certificate_is_for_the_workers_and_the_secrets_are_nobody_elses(files):
    said = subprocess.run(
        ["openssl", "x509", "-in", files["tls.crt"], "-noout", "-ext", "subjectAltName"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert all(f"DNS:{name}" in said for name in (*WORKERS, "localhost"))
    for name in ("web.tokens", "tls.key", "web/scrape.token"):
        path = files.get(name) or files["tls.key"].parent / "scrape.token"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_prometheus_takes_its_configuration(tool, tmp_path, files):
    """With the files at hand that it reads."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    for part, key in ((job["authorization"], "credentials_file"), (job["tls_config"], "ca_file")):
        part[key] = str(files["tls.crt"].parent / Path(part[key]).name)
    (tmp_path / "alerts.yml").write_bytes((ROOT / "deploy/prometheus/alerts.yml").read_bytes())
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [tool("promtool"), "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


DOCKERFILE = (ROOT / "Dockerfile").read_text()
IMAGE = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[-1]
"""The last stage: what is run."""
COMMANDS = [
    ("image", json.loads(re.findall(r"^CMD (.*)$", IMAGE, re.MULTILINE)[-1])),
    ("pod", CONTAINER["args"]),
    *((name, each["command"]) for name, each in COMPOSE["services"].items() if each["image"] == "rumbo"),
]


@pytest.mark.parametrize(("who", "command"), COMMANDS, ids=lambda each: each if isinstance(each, str) else "")
def test_what_is_called_is_a_command_of_rumbo(who, command):
    """By click itself, with the topology that the image has in that place; a misspelt option is refused."""
    assert 'ENTRYPOINT ["rumbo"]' in IMAGE
    name, *arguments = command
    called = rumbo.get_command(click.Context(rumbo), name)
    assert called is not None, who
    copied, place = re.findall(r"^COPY (\w+) (/\w+)$", IMAGE, re.MULTILINE)[0]
    here = [
        str(ROOT / copied / each.removeprefix(place + "/")) if each.startswith(place) else each for each in arguments
    ]
    made = called.make_context(name, here)
    assert load(made.params["topology"]).name == "saas"
    with pytest.raises(click.NoSuchOption):
        called.make_context(name, [*here, "--brokr=x:1"])


def test_ports_users_and_places_are_the_same_everywhere():
    """One port and one user from the settings to the probes; state where the volume is; what a file names is mounted."""
    port, state = Settings().web_port, re.findall(r"^VOLUME (.*)$", IMAGE, re.MULTILINE)[0]
    assert re.search(rf"^EXPOSE {port}$", IMAGE, re.MULTILINE)
    assert f"RUMBO__STATE_DIR={state}" in IMAGE
    assert BY_KIND["ConfigMap"]["data"]["RUMBO__STATE_DIR"] == state
    assert BY_KIND["ConfigMap"]["data"]["RUMBO__WEB_PORT"] == str(port)
    (opened,) = CONTAINER["ports"]
    assert opened["containerPort"] == port
    assert {CONTAINER[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} == {
        opened["name"]
    }
    assert {each["targetPort"] for one in OBJECTS if one["kind"] == "Service" for each in one["spec"]["ports"]} == {
        opened["name"]
    }
    (user,) = re.findall(r"^USER (\d+):\1$", IMAGE, re.MULTILINE)
    assert f"--uid {user} " in IMAGE
    assert f"chown {user} " in (ROOT / "deploy/compose/secrets.sh").read_text()
    for name in WORKERS:
        service = COMPOSE["services"][name]
        assert [each.split(":")[-1] for each in service["ports"]] == [str(port)]
        assert service["environment"]["RUMBO__WEB_URL"] == f"https://{name}:{port}"
        assert f"https://localhost:{port}/readyz" in service["healthcheck"]["test"][-1]
        mounted = [each.split(":")[1] for each in service["volumes"]]
        files = [value for key, value in service["environment"].items() if key.endswith("_FILE")]
        assert all(any(each.startswith(place + "/") for place in mounted) for each in files)
    mounted = [each["mountPath"] for each in CONTAINER["volumeMounts"]]
    assert all(
        any(value.startswith(place + "/") for place in mounted)
        for key, value in BY_KIND["ConfigMap"]["data"].items()
        if key.endswith("_FILE")
    )


def test_the_compose_healthcheck_is_a_program(files):
    """What it runs is Python, with a way to fail: the workers' port is asked by the name and the CA that the certificate has."""
    programs = [COMPOSE["services"][name]["healthcheck"]["test"] for name in WORKERS]
    assert all(each[:3] == ["CMD", "python", "-c"] for each in programs)
    program = programs[0][-1].replace("/web/tls.crt", str(files["tls.crt"])).replace("6066", "1")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ConnectionRefusedError" in done.stderr


def test_an_image_holds_all_that_a_worker_reads(tmp_path):
    """The Dockerfile's build with what it copies and no more: the wheel has every file of the source, and the template."""
    folder = tmp_path / "src"
    folder.mkdir()
    build = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1]
    for copied in re.findall(r"^COPY (.*) \S+$", build, re.MULTILINE):
        for each in copied.split():
            source = ROOT / each
            if source.is_dir():
                shutil.copytree(source, folder / each, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / each)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--wheel-dir", tmp_path, "."], check=True, cwd=folder)
    (wheel,) = tmp_path.glob("*.whl")
    kept = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    wanted = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= kept
    assert {f"rumbo/template/{each}.yaml" for each in ("topology", "journey", "examples")} <= kept
    assert not [each for each in kept if each.startswith(("tests/", "benchmarks/"))]


def test_the_image_is_slim_and_not_roots():
    """Only what a worker needs, each with its hash; the build stays behind; a number as the user, so that Kubernetes can tell."""
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert all(re.match(r"python:3\.\d+-slim\b", stage) for stage in stages)
    last = stages[-1]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert re.search(r"^VOLUME /state$", last, re.MULTILINE)
    assert not re.search(r"^ADD ", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes -r requirements-run.lock" in DOCKERFILE
    assert "pip" not in last.replace("pipe", "")
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((ROOT / each).exists() for each in source.split()), source


def pinned(name):
    """What a lock file pins, with its hashes."""
    found = re.findall(r"^(\S+==\S+)([^\n]*(?:\\\n[^\n]*)*)", (ROOT / name).read_text(), re.MULTILINE)
    return {pin: frozenset(re.findall(r"sha256:\w+", rest)) for pin, rest in found}


def test_an_image_runs_what_was_tested():
    """Each pin of the image's lock is one of the whole lock's, hash for hash; nothing of tests, docs or the demo is among them."""
    run, whole = pinned("requirements-run.lock"), pinned("requirements.lock")
    assert len(run) > 20
    assert run.items() <= whole.items()
    assert not {each.split("==")[0] for each in run} & {
        "pytest",
        "mypy",
        "mkdocs",
        "pandas",
        "noida-db",
        "testcontainers",
    }


def test_every_setting_that_is_documented_is_one():
    """docs/operating.md names settings without their prefix, in code."""
    table = (ROOT / "docs/operating.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    named = {
        name.lower()
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])
    }
    assert named == set(Settings.model_fields) - {"failpoint"}
