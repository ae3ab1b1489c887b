"""A cluster as production should be: TLS, SCRAM-SHA-512 users, and nothing allowed without an ACL. Needs `openssl`.

The certificates are for one test: their keys lie in its folder, unencrypted.
"""

from __future__ import annotations

import re
import secrets
import subprocess
from pathlib import Path

from rumbo.config import settings
from tests.broker.cluster import Cluster

ADMIN = "admin"
PASSWORDS = {ADMIN: "correct horse", "worker": "canary-battery-staple"}
ALLOWED = re.compile(
    r"Principal = User:worker is (\w+) operation = (\w+) from host = \S+ on resource = (\w+):LITERAL:(\S+)"
)
# Clients log in with SCRAM over TLS. Controllers cannot (the passwords are in the log that they elect each other to serve), so
# they know each other by certificate.
PROPERTIES = """
listener.security.protocol.map=CLIENT:SASL_SSL,CONTROLLER:SSL
ssl.keystore.type=PEM
ssl.keystore.location={folder}/node.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.controller.ssl.client.auth=required
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
  username="broker" password="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:CN=kafka-node;User:broker;User:{admin}
"""


def certificates(folder: Path, name: str = "node", names: str = "DNS:localhost,IP:127.0.0.1") -> None:
    """Write `ca.pem` (once) and `NAME.pem`, key and certificate for these names of the host."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
    if not (folder / "ca.pem").exists():
        openssl("req", "-x509", *key, "-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(
        "req", "-x509", *key, "-subj", "/CN=kafka-node", "-addext", f"subjectAltName={names}", "-addext",
        "basicConstraints=critical,CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", f"{name}.key", "-out", f"{name}.crt",
    )  # fmt: skip
    (folder / f"{name}.pem").write_bytes((folder / f"{name}.key").read_bytes() + (folder / f"{name}.crt").read_bytes())


def secure_cluster(folder: Path, users: dict[str, str], names: str = "DNS:localhost,IP:127.0.0.1") -> Cluster:
    """Prepare, but do not start, a node with these users and passwords; only `admin` may do anything yet."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    certificates(folder, names=names)
    password = secrets.token_hex(16)
    scram = [f"SCRAM-SHA-512=[name={name},password={secret}]" for name, secret in {"broker": password, **users}.items()]
    options = tuple(option for user in scram for option in ("--add-scram", user))
    return Cluster(
        folder,
        extra=PROPERTIES.format(folder=folder, password=password, admin=ADMIN),
        format_options=options,
        java_options=("-Dauthorizer.level=debug",),  # it tells what it allows, too
    )


class Secured:
    """The broker, and how each user connects."""

    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, folder
        for name, password in {**PASSWORDS, "wrong": "nonsense"}.items():
            path = folder / f"{name}.password"
            path.write_text(password)
            path.chmod(0o600)

    def options(self, name, **otherwise):
        """Settings of one user."""
        return {
            "broker": self.cluster.bootstrap, "security": "sasl_ssl", "username": name,
            "password_file": str(self.folder / f"{name}.password"), "ca_file": str(self.folder / "ca.pem"), **otherwise,
        }  # fmt: skip

    def known(self, name):
        return settings({}, **self.options(name))

    def environment(self, name, **otherwise):
        return {f"RUMBO__{key.upper()}": value for key, value in self.options(name, **otherwise).items()}

    def told(self):
        """What the authorizer said of the worker: (answer, operation, kind of resource, name)."""
        return set(ALLOWED.findall(self.cluster.nodes[0].said()))
