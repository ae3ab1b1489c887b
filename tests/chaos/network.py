"""A network that can be cut: a worker in a network namespace of its own, brokers at addresses of their own (Linux, root, no other tool).

A blackhole route drops what one side sends and lets the other side's packets in: connections stay open and nothing answers.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from tests.broker.cluster import Cluster

_NEW_NETWORK = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """A namespace, joined to this one by a pair of interfaces. Addresses: `host(n)` here, one there."""

    def __init__(self, number: int) -> None:
        self.name = f"rumbo-{os.getpid()}-{number}"
        self._net = f"10.231.{number}"
        self._here, self._there = f"rh{os.getpid() % 100_000}", f"rt{os.getpid() % 100_000}"
        self.under = ("ip", "netns", "exec", self.name)

    def host(self, number: int) -> str:
        """The address of a broker."""
        return f"{self._net}.{number}"

    def __enter__(self) -> Network:
        _ip("netns", "add", self.name)
        _ip("link", "add", self._here, "type", "veth", "peer", "name", self._there, "netns", self.name)
        for number in (1, 2, 3):
            _ip("addr", "add", f"{self.host(number)}/24", "dev", self._here)
        _ip("link", "set", self._here, "up")
        _ip("-n", self.name, "link", "set", "lo", "up")
        _ip("-n", self.name, "addr", "add", f"{self._net}.9/24", "dev", self._there)
        _ip("-n", self.name, "link", "set", self._there, "up")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:  # fmt: skip
        with suppress(subprocess.CalledProcessError):
            _ip("netns", "del", self.name)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread's new sockets are there."""
        with Path("/proc/self/ns/net").open() as ours, Path(f"/run/netns/{self.name}").open() as theirs:
            _enter(theirs.fileno())
            try:
                yield
            finally:
                _enter(ours.fileno())

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Nothing passes, either way."""
        _ip("-n", self.name, "link", "set", self._there, "down")
        try:
            yield
        finally:
            _ip("-n", self.name, "link", "set", self._there, "up")

    @contextmanager
    def dark(self, *brokers: int) -> Iterator[None]:
        """Nothing that is sent from there comes to these brokers; what they send arrives."""
        for number in brokers:
            _ip("-n", self.name, "route", "add", "blackhole", f"{self.host(number)}/32")
        try:
            yield
        finally:
            for number in brokers:
                _ip("-n", self.name, "route", "del", "blackhole", f"{self.host(number)}/32")


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def cluster_behind(folder: Path) -> Iterator[Cluster]:
    """Three brokers that a worker in the namespace reaches by a link that can be cut."""
    with Network(7) as network, Cluster(folder, 3, hosts=[network.host(number) for number in (1, 2, 3)]) as cluster:
        cluster.network = network
        yield cluster
