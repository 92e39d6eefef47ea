"""Nothing in, every page of docs/reference/ by its name out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from calico_rkt.compiler.conf.parse import RUNTIME_KEYS
from calico_rkt.compiler.conf.schema import conf_schema
from calico_rkt.compiler.grammar.schema import schema
from reference import codes, commands, environment, files, metrics
from reference.markdown import table
from reference.schemas import objects

_OBJECTS_OF_CONFS = {
    "conf": "The conf, or the plugin `calico` in a list",
    "host-local": "ipam, with the type host-local",
    "range": "range",
    "route": "route",
    "dns": "dns",
}
_OBJECTS_OF_OVERRIDES = {
    "override": "Override",
    "rule": "rule",
    "side": "side",
    "icmp": "icmp",
    "test": "test",
    "end": "end",
    "what": "what",
    "shared": "Definitions, settings, guardrails",
    "promise": "promise",
    "profile": "A Calico profile in place of an override",
}
_CONFS = """# Keys of confs

A conf is JSON: one plugin (`.conf`, `.json`) or a list of them (`.conflist`). `calico-rkt schema conf` is the same for
editors; `docs/runtimes.md` says who reads which.

"""
_OVERRIDES = """# Keys of overrides

A file in the folder of overrides is YAML, and what its keys say, whatever it is called. `calico-rkt schema` is the same
for editors; `docs/overrides.md` explains them.

"""


def _confs() -> str:
    theirs = ", ".join(f"`{key}`" for key in RUNTIME_KEYS)
    told = f"CNI gives a meaning to these, too, and the runtime reads them: {theirs}. Others are warned of.\n"
    return _CONFS + objects(conf_schema(), _OBJECTS_OF_CONFS) + told


def _overrides() -> str:
    return _OVERRIDES + objects(schema(), _OBJECTS_OF_OVERRIDES)


PAGES: Mapping[str, tuple[Callable[[], str], str]] = {
    "commands": (commands.page, "commands, their options, examples and exit statuses"),
    "confs": (_confs, "keys of network confs"),
    "overrides": (_overrides, "keys of overrides, definitions, settings and guardrails"),
    "codes": (codes.page, "codes of diagnostics"),
    "metrics": (metrics.page, "metrics of the agent"),
    "files": (files.page, "files on a host"),
    "environment": (environment.page, "variables of the environment"),
}


def texts() -> Mapping[str, str]:
    """The text of each file in docs/reference/."""
    made = {f"{name}.md": f"{page().rstrip()}\n" for name, (page, _) in PAGES.items()}
    rows = ((f"[{name}]({name}.md)", words) for name, (_, words) in PAGES.items())
    head = "# Reference\n\nMade of the code by `make reference`; `make check` says when it is not of today.\n\n"
    return {"README.md": (head + table(("page", "what is listed"), rows)).rstrip() + "\n", **made}
