"""Each variable of the environment that counts in, their page out; a test looks for those that the program reads."""

from __future__ import annotations

from reference.markdown import code, table

VARIABLES = {
    "CNI_COMMAND": "what a runtime wants: ADD, DEL, CHECK, GC, STATUS or VERSION; the CNI specification has the others",
    "CNI_CONTAINERID": "the container",
    "CNI_NETNS": "the path of its network namespace",
    "CNI_IFNAME": "the interface inside",
    "CNI_PATH": "folders of plugins, for a delegated `ipam.type` and for `attach`",
    "CNI_ARGS": "`IP=` and `MAC=` are granted; other keys are passed over",
    "ETCD_AUTHORITY": "host:port of etcd, where a conf of this host names none",
    "ETCD_ENDPOINTS": "URLs of etcd's members, where a conf of this host names none",
    "ETCD_USERNAME": "for an etcd that asks who it is, where the conf does not say",
    "ETCD_PASSWORD": "its password",
    "ETCD_CA_CERT_FILE": "whose certificates etcd's members have, where the conf does not say",
    "ETCD_CERT_FILE": "our certificate",
    "ETCD_KEY_FILE": "its key",
    "CALICO_NODENAME_FILE": "the file with this host's name in Calico, instead of /var/lib/calico/nodename",
    "CALICO_IPAM_LOCK_FILE": "Calico's lock of IPAM on this host, instead of /var/run/calico/ipam.lock",
    "CALICO_RKT_RUN_DIR": "a folder, by its absolute path, instead of /run/calico-rkt",
    "CALICO_RKT_LIB_DIR": "a folder, by its absolute path, instead of /var/lib/calico-rkt",
    "CALICO_RKT_LOG": "a log file instead of /var/log/calico-rkt/calico-rkt.log",
    "CONTAINERS_CONF": "podman's own, for its network backend in `doctor`",
    "CONTAINERS_STORAGE_CONF": "podman's own, for the names of containers in `ls`",
    "NO_COLOR": "no colour, also on a terminal",
    "FORCE_COLOR": "colour, also where no terminal is; `NO_COLOR` is stronger",
    "TERM": "`dumb`: neither colour nor progress",
    "SOURCE_DATE_EPOCH": "the day of `check` and `report`, in seconds of Unix time",
    "LISTEN_FDS": "the agent's sockets from systemd, with LISTEN_PID",
    "LISTEN_PID": "whom they are for",
    "NOTIFY_SOCKET": "where the agent says to systemd that it is ready",
}
_HEAD = """# Environment

An agent serves only calls whose `ETCD_` and `CALICO_` variables are its own; others run as a process of their own.

"""


def page() -> str:
    """A line for each."""
    return _HEAD + table(("variable", "what it says"), ((code(name), words) for name, words in VARIABLES.items()))
