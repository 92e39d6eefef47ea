"""What a one-shot ADD and DEL really import: starting is most of their time."""

from __future__ import annotations

import json

from tests.clients.support.lab import PLUGINS, conf, pool

HEAVY = {"jinja2", "markupsafe", "yaml", "netaddr", "pyroute2", "asyncio", "urllib3", "requests", "etcd", "etcd3gw"}
WEB = conf("web", pool("10.1.0.0/16"))


def imports(lab, command, container):
    """The packages that Python says it imported while it served one call."""
    env = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": f"/var/run/netns/{container}",
        "CNI_IFNAME": "eth0",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }
    argv = ("/usr/bin/python3", "-IS", "-X", "importtime", f"{PLUGINS}/calico")
    done = lab.run(*argv, stdin=json.dumps(WEB).encode(), env=env)
    assert done.returncode == 0, done
    lines = done.stderr.decode().splitlines()
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if line.startswith("import time:")}


def test_when_the_profile_is_published_neither_compiler_nor_netlink_libraries_are_imported(bare_lab):
    for container in ("first", "second"):
        bare_lab.netns(container)
    assert {"jinja2", "yaml"} <= imports(bare_lab, "ADD", "first")
    for command, container in (("ADD", "second"), ("DEL", "second"), ("DEL", "first")):
        found = imports(bare_lab, command, container)
        assert "calico_rkt" in found
        assert not found & HEAVY
