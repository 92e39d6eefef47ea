"""A kind of cluster's store in; one that is open in a folder of its own, and what every such store is asked, out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calico_rkt.compiler.conf.netconf import Ipam
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store import local
from calico_rkt.plugin.store.access import Access
from calico_rkt.plugin.store.journal import Journal
from tests.properties.inputs.door import foreseen

NEW = Endpoint(Key("net1", "cont-a1", "eth1"), "0123456789abcdef", "/n", 4, 7, "crk0", "02:00:00:00:00:01", ())
_ACCESS = Access(("http://127.0.0.1:1",))
_FOLDERS: list[Path] = []


@contextmanager
def folder() -> Iterator[None]:
    """Where opened() has its files, for as long as a door is tried."""
    with tempfile.TemporaryDirectory(prefix="crk-etcd-") as name:
        _FOLDERS.append(Path(name))
        yield
        _FOLDERS.pop()


@contextmanager
def opened(kind: Callable[..., Any]) -> Iterator[Any]:
    """A store whose books are empty again afterwards; a CniError has to be one that is foreseen."""
    root = _FOLDERS[-1]
    records = local.LocalStore(root / "run", root / "lib", local._verify)
    store = kind(root / "run", records, Journal(root / "journal"), _ACCESS, "node1")
    try:
        yield store
    except CniError as e:
        foreseen(e)
    finally:
        records.remove(NEW.key, NEW.nonce)
        for left in (root / "journal").glob("*"):
            left.unlink()
        store.close()


def questions(ipam: Ipam, old: Endpoint) -> dict[str, Callable[[Any], object]]:
    """What is asked by its name; old: an endpoint that the cluster has."""

    def add(store: Any) -> None:
        added = store.add(NEW, ipam, ())
        store.remove(added.key, added.nonce)

    return {
        "add": add,
        "remove": lambda store: store.remove(old.key, old.nonce),
        "check_ready": lambda store: store.check_ready(),
        "is_published": lambda store: store.is_published("net1"),
        "differs": lambda store: store.differs(old),
        "warnings": lambda store: store.warnings(()),
        "endpoints": lambda store: tuple(store.endpoints()),
    }
