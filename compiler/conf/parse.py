"""A network conf's bytes in, a NetConf out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from calico_rkt.compiler.conf.netconf import NO_DNS, PROFILES_DIR, SUPPORTED_VERSIONS, Dns, Ipam, NetConf
from calico_rkt.compiler.conf.section import Section, json_kind
from calico_rkt.compiler.conf.shape import LARGEST_CONF, our_plugin
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, Span, error, raise_errors
from calico_rkt.compiler.ir.ids import NETWORK_NAME
from calico_rkt.compiler.text.json_nodes import parse_json
from calico_rkt.compiler.text.nodes import Mapping as Object
from calico_rkt.compiler.text.nodes import Node, Scalar, Sequence

UNSERVED = "CR230"
"""The code of what a runtime asks for and does not get: no reason to refuse an ADD, and never silent."""
_SERVED = ("ips", "mac", "dns", "portmappings")
"""In small letters, since runtimes write them in either case; of published ports an ADD tells what becomes of them."""
_UNSERVED = {
    "ipranges": (
        ": addresses come from the ranges of the conf",
        "write the ranges into ipam: a review knows no others",
    ),
    "bandwidth": ("", 'declare it for {"type": "bandwidth"} behind calico in a list'),
}
_OTHERS = "", "take it out, or declare it for the plugin that serves it, behind calico in a list"
LOG_LEVELS = {
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "fatal": "critical",
    "panic": "critical",
}
"""Calico's names of log levels (logrus, in any case), and Python's for them."""

ETCD_VARIABLES = ("ETCD_AUTHORITY", "ETCD_ENDPOINTS")
"""All of the environment that a conf's meaning depends on."""

DATASTORES = ("local", "etcdv2", "etcdv3")
_ETCD_FILES = ("etcd_ca_cert_file", "etcd_cert_file", "etcd_key_file")
_ETCD_KEYS = ("etcd_authority", "etcd_endpoints", "etcd_username", "etcd_password_file", *_ETCD_FILES)
OUR_KEYS = (
    *("name", "type", "cniVersion", "ipam", "ipMasq", "mtu", "datastore_type", "nodename"),
    *("require_felix", "log_level", "profiles_dir", "dns", *_ETCD_KEYS),
)
RUNTIME_KEYS = (
    *("cniVersions", "disableCheck", "disableGC", "loadOnlyInlinedPlugins", "capabilities", "runtimeConfig"),
    *("prevResult", "args", "plugins"),
)
"""Keys of the CNI specification that the runtime or the request reads, not the compiler."""
# As text: compiled where a conf has such a key.
_NODENAME = r"[a-zA-Z0-9_.\-]+\Z"
_HOST_PORT = r"(?:\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9_.\-]+):([1-9][0-9]{0,4})\Z"


def parse_conf(
    data: bytes,
    path: str = "<stdin>",
    *,
    preview: bool = False,
    environ: Mapping[str, str] | None = MappingProxyType({}),
) -> tuple[NetConf, tuple[Diagnostic, ...]]:
    """The conf and its warnings; raises CompileError with all problems at once.

    At run time (preview False) data is what a runtime sends: strict JSON of one plugin. In the preview a trailing
    comma or a comment is a warning, and a list of plugins (.conflist) is read at its plugin of type `calico`.
    ETCD_AUTHORITY and ETCD_ENDPOINTS of environ count where the conf names no etcd, as in Calico; environ is None where
    the conf is not judged for this host, so that nobody knows what they will be.
    An unknown cniVersion is no problem here: the plugin answers it with code 1.
    """
    problems: list[Diagnostic] = []
    node, found = parse_json(path, data, forgiving=preview, largest=LARGEST_CONF, twice=problems)
    problems += found
    if not isinstance(node, Object):
        raise CompileError([*problems, error("CR201", f"a conf is a JSON object, not {json_kind(node)}", node.span)])
    outer = Section(node, "", problems)
    plugin = our_plugin(outer, path, preview=preview)
    return _read(outer, plugin, environ), tuple(problems)


def _read(outer: Section, plugin: Section, environ: Mapping[str, str] | None) -> NetConf:
    """The conf; CompileError with all problems, found only after every field was read."""
    # Here, not above: that module makes the values of this one.
    from calico_rkt.compiler.conf.ipam import read_ipam

    plugin.check_keys(OUR_KEYS, RUNTIME_KEYS)
    name = _name(outer)
    type_of = plugin.text("type")
    if plugin.mapping.get("type") is None:
        plugin.missing("type", '"type": "calico"')
    elif type_of == "":
        plugin.error("CR206", "type is empty", plugin.span("type"), '"type": "calico"')
    plain = outer.text("cniVersion") or ""
    several = outer is not plugin and outer.mapping.get("cniVersions") is not None
    version = _chosen(outer, plain) if several else plain or SUPPORTED_VERSIONS[0]
    _say_unserved(plugin)
    section = plugin.section("ipam")
    if plugin.mapping.get("ipam") is None:
        plugin.missing("ipam", '"ipam": {"type": "host-local", "subnet": "10.1.0.0/16"}')
    ipam = read_ipam(section, version) if section else None
    authority, endpoints = _etcd(plugin, environ or {})
    datastore = _datastore(plugin, bool(authority or endpoints), known=environ is not None)
    if datastore == "local":
        authority, endpoints = "", ()
    conf = NetConf(
        name=name or "",
        type=type_of or "",
        cni_version=version,
        cni_version_before=plain or SUPPORTED_VERSIONS[0],
        ipam=ipam or Ipam(""),
        ip_masq=plugin.boolean("ipMasq", default=False),
        mtu=_mtu(plugin, ipam),
        datastore_type=datastore,
        etcd_authority=authority,
        etcd_endpoints=endpoints,
        etcd_ca_cert_file=_path(plugin, "etcd_ca_cert_file", ""),
        etcd_cert_file=_path(plugin, "etcd_cert_file", ""),
        etcd_key_file=_path(plugin, "etcd_key_file", ""),
        etcd_username=plugin.text("etcd_username") or "",
        etcd_password_file=_path(plugin, "etcd_password_file", ""),
        nodename=_nodename(plugin),
        require_felix=plugin.boolean("require_felix", default=True),
        log_level=_log_level(plugin),
        profiles_dir=_path(plugin, "profiles_dir", PROFILES_DIR),
        profiles_named=plugin.mapping.get("profiles_dir") is not None,
        dns=_dns(plugin),
    )
    raise_errors(plugin.problems)
    return conf


def _chosen(outer: Section, plain: str) -> str:
    """The version of a list with `cniVersions`; libcni refuses one that holds anything but versions."""
    # Here, not above: no runtime hands a plugin any.
    from calico_rkt.compiler.conf.versions import chosen, is_version

    found: list[str] = []
    for node in outer.items("cniVersions", "versions") or ():
        text = outer.text_of(node, "each of cniVersions")
        if text is not None and not is_version(text):
            outer.error("CR206", f"{text[:40]!r} in cniVersions is no version", node.span, 'such as "1.0.0"')
        elif text is not None:
            found.append(text)
    return chosen(plain, found)


def _dns(plugin: Section) -> Dns:
    section = plugin.section("dns")
    if section is None:
        return NO_DNS
    from calico_rkt.compiler.conf.dns import read_dns  # most confs have none

    return read_dns(section)


def _say_unserved(plugin: Section) -> None:
    """Warn of each capability that is not served, whether the conf declares it or a runtime has filled it in."""
    told = {*_SERVED}
    for place in ("capabilities", "runtimeConfig"):
        given = plugin.mapping.get(place)
        for key, value in given.entries if isinstance(given, Object) else ():
            wanted = not isinstance(value, Scalar) or value.text == "true"
            if wanted and key.text.lower() not in told:
                told.add(key.text.lower())
                why, hint = _UNSERVED.get(key.text.lower(), _OTHERS)
                plugin.warning(UNSERVED, f"the capability {key.text} is not served{why}", key.span, hint)


def _name(conf: Section) -> str | None:
    """The network's name, by CNI's rule for it."""
    node = conf.mapping.get("name")
    if node is None:
        conf.missing("name", '"name": "my-network"')
        return None
    if isinstance(node, Scalar) and not node.plain and not NETWORK_NAME.fullmatch(node.text):
        bad = next((c for c in node.text if not re.match(r"[a-zA-Z0-9_.\-]", c)), "")
        why = f"holds {bad!r}" if bad else f"begins with {node.text[0]!r}" if node.text else "is empty"
        hint = "letters, digits, '_', '.' and '-', beginning with a letter or digit"
        conf.error("CR204", f"the name of a network {why}", node.span, hint)
        return None
    return conf.text("name")


def _mtu(plugin: Section, ipam: Ipam | None) -> int:
    """0, or what the kernel takes for a veth (68 to 65535) and IPv6 needs (1280, RFC 8200)."""
    mtu = plugin.integer("mtu") or 0
    if mtu and not 68 <= mtu <= 65535:
        plugin.error("CR213", f"mtu {mtu} is not 0 or 68 to 65535", plugin.span("mtu"))
    elif 0 < mtu < 1280 and ipam and any(r.subnet.version == 6 for one in ipam.ranges for r in one):
        plugin.error("CR213", f"IPv6 needs an mtu of 1280 or more, not {mtu}", plugin.span("mtu"))
    return mtu


def _datastore(plugin: Section, named: bool, known: bool) -> str:
    """Where etcd is named and no datastore_type, etcdv3; known: so is the environment."""
    text = plugin.text("datastore_type")
    if plugin.mapping.get("datastore_type") is None:
        return "etcdv3" if named else "local"
    span = plugin.span("datastore_type")
    if text is None or text not in DATASTORES:
        if text is not None:
            hint = "on Kubernetes Calico's own plugin is the one to use" if text == "kubernetes" else ""
            plugin.error("CR206", f"datastore_type {text!r} is none of {', '.join(DATASTORES)}", span, hint)
        return "local"
    if text == "local":
        for key in _ETCD_KEYS:
            if plugin.mapping.get(key) is not None:
                plugin.warning("CR216", f"{key} has no effect with datastore_type local", plugin.span(key))
    elif not named and not any(d.code == "CR217" for d in plugin.problems):
        hint = 'add "etcd_endpoints": "http://127.0.0.1:2379"'
        if known:
            plugin.error("CR202", f"datastore_type {text} needs etcd_endpoints", span, hint)
        else:
            message = f"datastore_type {text} without etcd_endpoints: the host's ETCD_ENDPOINTS would have to name them"
            plugin.warning("CR222", message, span, hint)
    return text


def _etcd(plugin: Section, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """etcd_authority (host:port) and etcd_endpoints (URLs, as a list or with commas between).

    The environment counts only where the conf names neither, so that two places never mix.
    """
    cert, key = (plugin.mapping.get(k) for k in ("etcd_cert_file", "etcd_key_file"))
    if (cert is None) != (key is None):
        given = cert or key or plugin.mapping
        plugin.error("CR217", "etcd_cert_file and etcd_key_file are given together or not at all", given.span)
    authority, endpoints = plugin.mapping.get("etcd_authority"), plugin.mapping.get("etcd_endpoints")
    if authority is None and endpoints is None:
        if _is_local(plugin):
            return "", ()
        text, urls = (_variable(environ, name) for name in ETCD_VARIABLES)
        return _authority(plugin, text, "ETCD_AUTHORITY"), _endpoints(plugin, urls, "ETCD_ENDPOINTS")
    return (
        _authority(plugin, authority, "etcd_authority") if authority else "",
        _endpoints(plugin, endpoints, "etcd_endpoints") if endpoints else (),
    )


def _variable(environ: Mapping[str, str], name: str) -> Scalar:
    """A variable of the environment as a string of a conf; its place is its name."""
    text = environ.get(name, "").strip()
    return Scalar(text, plain=False, place=Span(f"${name}", 1, 1, len(text) + 1, text))


def _is_local(plugin: Section) -> bool:
    node = plugin.mapping.get("datastore_type")
    return isinstance(node, Scalar) and node.text == "local"


def _authority(plugin: Section, node: Node, label: str) -> str:
    text = plugin.text_of(node, label) or ""
    if text and not _is_host_port(text):
        plugin.error("CR217", f"{label} {text!r} is no HOST:PORT", node.span, "such as 127.0.0.1:2379")
    return text


def _endpoints(plugin: Section, node: Node, label: str) -> tuple[str, ...]:
    nodes = node.items if isinstance(node, Sequence) else (node,)
    out: list[str] = []
    for one in nodes:
        for part in (plugin.text_of(one, label) or "").split(","):
            url = part.strip().removesuffix("/")
            if url and not is_member_url(url):
                hint = "such as http://127.0.0.1:2379"
                plugin.error("CR217", f"{label} {url!r} is no URL with host and port", one.span, hint)
            elif url:
                out.append(url)
    return tuple(out)


def is_member_url(url: str) -> bool:
    """Whether a text is the URL of an etcd member, with host and port and no more."""
    scheme, _, rest = url.partition("://")
    return scheme in ("http", "https") and _is_host_port(rest)


def _is_host_port(text: str) -> bool:
    found = re.match(_HOST_PORT, text)
    return found is not None and int(found[1]) <= 65535


def _path(plugin: Section, key: str, default: str) -> str:
    """An absolute path: a plugin's working folder is whatever the runtime's is."""
    text = plugin.text(key)
    if text is None:
        return default
    if not text.startswith("/"):
        plugin.error("CR218", f"{key} must be an absolute path, not {text!r}", plugin.span(key))
    return text


def _nodename(plugin: Section) -> str:
    text = plugin.text("nodename")
    if text is not None and not re.match(_NODENAME, text):
        hint = "letters, digits, '_', '.' and '-'"
        plugin.error("CR204", f"nodename {text!r} is no name of a Calico node", plugin.span("nodename"), hint)
    return text or ""


def _log_level(plugin: Section) -> str:
    text = plugin.text("log_level")
    if text is None:
        return "info"
    if text.lower() not in LOG_LEVELS:
        plugin.error("CR206", f"log_level {text!r} is none of {', '.join(LOG_LEVELS)}", plugin.span("log_level"))
    return LOG_LEVELS.get(text.lower(), "info")
