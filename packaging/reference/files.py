"""Where the program keeps what in, the page of its files on a host out."""

from __future__ import annotations

from calico_rkt.compiler.conf.netconf import PROFILES_DIR
from calico_rkt.compiler.workspace.host import KEPT, LIVE
from calico_rkt.plugin.install.parts import GROUPS, PREFIX, parts
from calico_rkt.plugin.process.log import DEFAULT_FILE
from calico_rkt.plugin.store.folders import LIB_DIR, RUN_DIR
from reference.markdown import code, table

READ = (
    *((f"{folder}/*", "confs of networks; those of type `calico` are read") for folder in LIVE),
    (f"{KEPT}/*", "confs that people keep, whatever a runtime deletes in its own folder"),
    (f"{PROFILES_DIR}/*", "overrides, definitions, settings, guardrails"),
)
"""What is written by people, and read here."""
KEPT_HERE = (
    (f"{RUN_DIR}/state.log", "leases and endpoints of this host; gone after a boot, as containers are"),
    (
        f"{RUN_DIR}/state.sqlite*",
        "those of builds before the log; here, what keeps such a build from beginning",
    ),
    (
        f"{RUN_DIR}/lent/*.json",
        "addresses of another ipam plugin whose ADD has not ended or was cut short, or whose DEL failed: gc gives back",
    ),
    (
        f"{RUN_DIR}/etcd/*, {RUN_DIR}/etcdv2/*",
        "this host's own records of its attachments in clusters; gone after a boot, too",
    ),
    (f"{RUN_DIR}/attested.json", "what the last `calico-rkt attest --record` came to, for the metrics"),
    (f"{RUN_DIR}/agent.sock", "where the agent takes calls; root alone may speak there"),
    (f"{RUN_DIR}/metrics.sock", "where the agent answers for its metrics"),
    (f"{RUN_DIR}/attached/*", "what `calico-rkt attach` made"),
    (f"{RUN_DIR}/*lock*", "locks; nothing stands in them"),
    (f"{LIB_DIR}/profiles/*", "published profiles: the policy that is in force"),
    (f"{LIB_DIR}/journal/*", "releases that a cluster is still to be told of"),
    (f"{LIB_DIR}/installed.json", "what `calico-rkt install` put where, with checksums"),
    (f"{DEFAULT_FILE}*", "the log of the plugin, the agent and the commands"),
)
"""What is written here."""
_HEAD = """# Files on a host

## What people write

"""


def page() -> str:
    """Both, and what install puts."""
    named = ("path", "what it is")
    text = _HEAD + table(named, ((code(path), words) for path, words in READ))
    text += "## What the program keeps\n\n" + table(named, ((_codes(path), words) for path, words in KEPT_HERE))
    text += f"## What `calico-rkt install` puts\n\nWith `--prefix {PREFIX}`, which is the usual one.\n\n"
    rows = ((code(part.path), GROUPS[part.group].words, part.words) for part in parts(PREFIX))
    return text + table(("path", "part", "what it is for"), rows)


def _codes(paths: str) -> str:
    return ", ".join(map(code, paths.split(", ")))
