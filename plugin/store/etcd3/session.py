"""A conf's keys about etcd in, a session out that is kept for the next call of the same process."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calico_rkt.compiler.conf import Net, NetConf
from calico_rkt.plugin.result import CniError, Code
from calico_rkt.plugin.store.etcd3.gateway import Access, Gateway

NODENAME_FILE = "/var/lib/calico/nodename"
"""Where calico/node says what it calls this host; CALICO_NODENAME_FILE names another."""

_LOCK = threading.Lock()
_IDLE: dict[Access, list[Session]] = {}


@dataclass(slots=True)
class Session:
    """Connections to a cluster, and what was learnt of it: where each network's range sets last found room.

    Nothing here is needed for a right answer.
    """

    gateway: Gateway
    blocks: dict[tuple[str, int], Net] = field(default_factory=dict)
    borrowed: dict[tuple[str, int], Net] = field(default_factory=dict)


def take(access: Access) -> Session:
    """A session that nobody else has; its clock starts now."""
    with _LOCK:
        idle = _IDLE.get(access)
        session = idle.pop() if idle else None
    if session is None:
        return Session(Gateway(access))
    session.gateway.begin()
    return session


def give_back(session: Session) -> None:
    with _LOCK:
        _IDLE.setdefault(session.gateway.access, []).append(session)


def access_of(conf: NetConf, environ: Mapping[str, str] = os.environ) -> Access:
    """Members, TLS files and user; the password comes from a file or ETCD_PASSWORD, never from the conf."""
    scheme = "https" if conf.etcd_ca_cert_file or conf.etcd_cert_file else "http"
    authority = (f"{scheme}://{conf.etcd_authority}",) if conf.etcd_authority else ()
    user = conf.etcd_username or environ.get("ETCD_USERNAME", "")
    password = environ.get("ETCD_PASSWORD", "")
    if conf.etcd_password_file:
        try:
            password = Path(conf.etcd_password_file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as e:
            raise CniError(
                Code.INVALID_CONF, f"etcd_password_file {conf.etcd_password_file} can't be read", str(e)
            ) from e
    return Access(
        endpoints=conf.etcd_endpoints or authority,
        ca_file=conf.etcd_ca_cert_file or environ.get("ETCD_CA_CERT_FILE", ""),
        cert_file=conf.etcd_cert_file or environ.get("ETCD_CERT_FILE", ""),
        key_file=conf.etcd_key_file or environ.get("ETCD_KEY_FILE", ""),
        user=user,
        password=password,
    )


def node_name(conf: NetConf, environ: Mapping[str, str] = os.environ) -> str:
    """What Calico calls this host: the conf, calico/node's file (without its line's end), the host's name."""
    if conf.nodename:
        return conf.nodename
    path = Path(environ.get("CALICO_NODENAME_FILE") or NODENAME_FILE)
    try:
        found = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        found = ""
    except (OSError, ValueError) as e:
        raise CniError(Code.IO, f"{path} can't be read: {e}") from e
    name = found or socket.gethostname().lower()
    if "/" in name or not name.isprintable():
        raise CniError(Code.IO, f"{name!r} is no name of a Calico node", f"look into {path}")
    return name
