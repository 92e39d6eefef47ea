"""An ADD that ends when another ipam plugin has given its address: DEL, gc and the next ADD give it back."""

from __future__ import annotations

import json
import os
import time

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.commands import tool
from tests.clients.support.lab import PLUGINS, REFERENCE_PLUGINS, Lab, conf, environment

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

LENDER = f"""#!/bin/sh
if [ "$CNI_COMMAND" = DEL ] && [ -e /run/lab/refuses ]; then echo '{{"code": 11, "msg": "not now"}}'; exit 1; fi
if [ -e /run/lab/hangs-at-$CNI_COMMAND ]; then kill -TERM $PPID; exec sleep 100; fi
{REFERENCE_PLUGINS}/host-local
status=$?
if [ "$CNI_COMMAND" = ADD ] && [ -e /run/lab/ends ]; then kill -9 $PPID; fi
exit $status
"""
WEB = conf("web", {"type": "lender", "subnet": "10.1.0.0/24"})


@pytest.fixture
def cut_short(bare_lab: Lab) -> Lab:
    """A host where an ADD was ended between the lease and the record of it."""
    bare_lab.write(f"{PLUGINS}/lender", LENDER)
    bare_lab.path(PLUGINS, "lender").chmod(0o755)
    ends = bare_lab.path(bare_lab.write("/run/lab/ends", ""))
    reply = Caller(bare_lab)("ADD", WEB, "c1", bare_lab.netns("c1"))
    assert reply.status in (-9, 137), reply
    ends.unlink()
    assert "host-local" in bare_lab.left()
    return bare_lab


def test_a_del_gives_it_back(cut_short: Lab):
    Caller(cut_short).delete(WEB, "c1", "/var/run/netns/c1")
    assert cut_short.left() == {}
    assert tool(cut_short, "gc").stdout == b""


def test_a_del_by_a_conf_with_other_ipam_gives_it_back_too(cut_short: Lab):
    Caller(cut_short).delete(conf("web", {"type": "host-local", "subnet": "10.1.0.0/24"}), "c1", "/var/run/netns/c1")
    assert cut_short.left() == {}


MOVED = conf("web", {"type": "other", "subnet": "10.1.0.0/24", "dataDir": "/run/lab/other"})
"""The network with another ipam plugin, which knows nothing of what the first one gave."""


def test_a_del_by_a_conf_with_another_ipam_plugin_gives_it_back_too(cut_short: Lab):
    cut_short.path(PLUGINS, "other").symlink_to(f"{REFERENCE_PLUGINS}/host-local")
    Caller(cut_short).delete(MOVED, "c1", "/var/run/netns/c1")
    assert cut_short.left() == {}


def test_what_a_plugin_gave_that_is_not_there_waits_through_dels_by_a_conf_with_another(bare_lab: Lab):
    lender = bare_lab.path(bare_lab.write(f"{PLUGINS}/lender", LENDER))
    lender.chmod(0o755)
    bare_lab.path(PLUGINS, "other").symlink_to(f"{REFERENCE_PLUGINS}/host-local")
    cni, netns = Caller(bare_lab), bare_lab.netns("c1")
    cni.add(WEB, "c1", netns)
    lender.unlink()
    cni("DEL", MOVED, "c1", netns).refused(108)
    cni.delete(MOVED, "c1", netns)
    bare_lab.out("ip", "netns", "del", "c1")
    assert tool(bare_lab, "gc").returncode == 2
    bare_lab.path(bare_lab.write(f"{PLUGINS}/lender", LENDER)).chmod(0o755)
    assert tool(bare_lab, "gc").returncode == 0
    assert bare_lab.left() == {}


def test_the_next_add_gives_it_back_first(cut_short: Lab):
    cni = Caller(cut_short)
    added = cni.add(WEB, "c1", "/var/run/netns/c1")
    assert len(cut_short.left()["host-local"]) == 1
    assert addresses(added)[0] in cut_short.left()["host-local"][0]
    cni.delete(WEB, "c1", "/var/run/netns/c1")
    assert cut_short.left() == {}


def test_gc_gives_it_back_once_the_container_is_gone(cut_short: Lab):
    assert tool(cut_short, "gc").stdout == b"", "its runtime may still run a DEL"
    cut_short.out("ip", "netns", "del", "c1")
    said = b"give back what another ipam plugin gave to web c1 eth0: its ADD was cut short\n"
    assert tool(cut_short, "gc", "--dry-run").stdout == b"would " + said
    refuses = cut_short.path(cut_short.write("/run/lab/refuses", ""))
    assert tool(cut_short, "gc").returncode == 2
    refuses.unlink()
    done = tool(cut_short, "gc")
    assert (done.returncode, done.stdout) == (0, said.replace(b"give", b"gave", 1))
    assert cut_short.left() == {}
    assert tool(cut_short, "gc").stdout == b""


def test_what_the_plugin_can_not_take_back_now_waits_for_the_next_gc(bare_lab: Lab):
    bare_lab.write(f"{PLUGINS}/lender", LENDER)
    bare_lab.path(PLUGINS, "lender").chmod(0o755)
    Caller(bare_lab).add(WEB, "c1", bare_lab.netns("c1"))
    bare_lab.out("ip", "netns", "del", "c1")
    bare_lab.path(PLUGINS, "lender").write_text("#!/bin/sh\nexit 1\n")
    assert tool(bare_lab, "gc").returncode == 2
    assert set(bare_lab.left()) == {"host-local"}
    assert tool(bare_lab, "gc").returncode == 2
    bare_lab.path(PLUGINS, "lender").write_text(LENDER)
    assert tool(bare_lab, "gc").returncode == 0
    assert bare_lab.left() == {}


def test_a_del_that_fails_at_the_plugin_leaves_what_gc_needs(bare_lab: Lab):
    bare_lab.write(f"{PLUGINS}/lender", LENDER)
    bare_lab.path(PLUGINS, "lender").chmod(0o755)
    cni = Caller(bare_lab)
    cni.add(WEB, "c1", bare_lab.netns("c1"))
    bare_lab.path(PLUGINS, "lender").write_text("#!/bin/sh\nexit 1\n")
    assert cni("DEL", WEB, "c1", "/var/run/netns/c1").status == 1
    bare_lab.path(PLUGINS, "lender").write_text(LENDER)
    bare_lab.out("ip", "netns", "del", "c1")
    assert tool(bare_lab, "gc").returncode == 0
    assert bare_lab.left() == {}


def test_half_a_note_goes(cut_short: Lab):
    """Of a writer that was killed: with the next call for its container, or with gc after a minute."""
    folder = cut_short.path("/run/calico-rkt/lent")
    (note,) = folder.iterdir()
    own, other = (folder / f".{name}.0123456789abcdef" for name in (note.name, "0123456789abcdef.json"))
    for half in (own, other):
        half.write_text("{")
    os.utime(other, (time.time() - 100,) * 2)
    Caller(cut_short).delete(WEB, "c1", "/var/run/netns/c1")
    assert list(folder.iterdir()) == [other]
    assert tool(cut_short, "gc").returncode == 0
    assert list(folder.iterdir()) == []


def test_a_note_that_can_not_be_read_stops_nobody(cut_short: Lab):
    (note,) = cut_short.path("/run/calico-rkt/lent").iterdir()
    note.write_text(json.dumps({"key": "web"}))
    cut_short.out("ip", "netns", "del", "c1")
    assert tool(cut_short, "gc").returncode == 0
    cni = Caller(cut_short)
    cni.add(WEB, "c2", cut_short.netns("c2"))
    cni.delete(WEB, "c2", "/var/run/netns/c2")
    Caller(cut_short).delete(WEB, "c1", "")
    assert cut_short.left() == {}


def test_a_call_whose_plugin_hangs_ends_when_it_is_asked_to(bare_lab: Lab):
    """The plugin asks us to end, and goes on: it is ended, and what it may have given is given back."""
    bare_lab.write(f"{PLUGINS}/lender", LENDER)
    bare_lab.path(PLUGINS, "lender").chmod(0o755)
    cni, netns = Caller(bare_lab), bare_lab.netns("c1")
    hangs = bare_lab.path(bare_lab.write("/run/lab/hangs-at-ADD", ""))
    error = cni("ADD", WEB, "c1", netns).refused(11)
    assert error["msg"] == "ended by signal SIGTERM, while it waited for ipam plugin 'lender'"
    assert bare_lab.run("pgrep", "-x", "sleep").returncode == 1
    assert bare_lab.left() == {}
    hangs.unlink()
    cni.add(WEB, "c1", netns)
    hangs = bare_lab.path(bare_lab.write("/run/lab/hangs-at-DEL", ""))
    assert "ipam plugin 'lender'" in cni("DEL", WEB, "c1", netns).refused(11)["msg"]
    hangs.unlink()
    cni.delete(WEB, "c1", netns)
    assert bare_lab.left() == {}


def test_an_add_over_a_container_that_is_gone_leaves_what_gc_needs(bare_lab: Lab):
    """Its runtime gives up when the plugin can't take back what the container before had: nobody else knows of that."""
    bare_lab.write(f"{PLUGINS}/lender", LENDER)
    bare_lab.path(PLUGINS, "lender").chmod(0o755)
    cni = Caller(bare_lab)
    cni.add(WEB, "c1", bare_lab.netns("c1"))
    bare_lab.out("ip", "netns", "del", "c1")
    refuses = bare_lab.path(bare_lab.write("/run/lab/refuses", ""))
    cni("ADD", WEB, "c1", bare_lab.netns("c1")).refused(11)
    refuses.unlink()
    bare_lab.out("ip", "netns", "del", "c1")
    assert tool(bare_lab, "gc").returncode == 0
    assert bare_lab.left() == {}


def lender_is_there(lab: Lab) -> None:
    lab.write(f"{PLUGINS}/lender", LENDER)
    lab.path(PLUGINS, "lender").chmod(0o755)


def logged(lab: Lab) -> str:
    return lab.path("/var/log/calico-rkt/calico-rkt.log").read_text()


def test_a_del_of_what_nobody_knows_succeeds_also_where_the_plugin_is_not_there(bare_lab: Lab):
    """A DEL should generally complete without error though resources are missing (CNI): it is repeated for ever."""
    cni = Caller(bare_lab)
    for netns in (bare_lab.netns("c1"), ""):
        cni.delete(WEB, "c1", netns)
    assert "108 the ipam plugin 'lender' is not in CNI_PATH" in logged(bare_lab)
    assert "WARNING" in logged(bare_lab)
    assert bare_lab.left() == {}


def test_what_was_lent_by_a_plugin_that_is_not_there_now_waits_for_gc(bare_lab: Lab):
    lender_is_there(bare_lab)
    cni, netns = Caller(bare_lab), bare_lab.netns("c1")
    cni.add(WEB, "c1", netns)
    bare_lab.path(PLUGINS, "lender").unlink()
    assert "is not in CNI_PATH" in cni("DEL", WEB, "c1", netns).refused(108)["msg"]
    cni.delete(WEB, "c1", netns)
    assert "calico-rkt gc" in logged(bare_lab).splitlines()[-2]
    bare_lab.out("ip", "netns", "del", "c1")
    done = tool(bare_lab, "gc")
    assert (done.returncode, b"/run/calico-rkt/lent/" in done.stderr) == (2, True), done
    lender_is_there(bare_lab)
    assert tool(bare_lab, "gc").returncode == 0
    assert bare_lab.left() == {}


def test_gc_says_what_it_can_not_give_back_since_the_plugin_is_not_there(bare_lab: Lab):
    lender_is_there(bare_lab)
    Caller(bare_lab).add(WEB, "c1", bare_lab.netns("c1"))
    bare_lab.out("ip", "netns", "del", "c1")
    bare_lab.path(PLUGINS, "lender").unlink()
    for _ in range(2):
        assert tool(bare_lab, "gc").returncode == 2
    lender_is_there(bare_lab)
    assert tool(bare_lab, "gc").returncode == 0
    assert bare_lab.left() == {}


@pytest.mark.parametrize("ipam", ["lender", "host-local"])
def test_a_note_stays_where_its_plugin_is_not_there(cut_short: Lab, ipam: str):
    cut_short.path(PLUGINS, "lender").unlink()
    Caller(cut_short).delete(conf("web", {"type": ipam, "subnet": "10.1.0.0/24"}), "c1", "/var/run/netns/c1")
    assert "host-local" in cut_short.left()
    lender_is_there(cut_short)
    cut_short.out("ip", "netns", "del", "c1")
    assert tool(cut_short, "gc").returncode == 0
    assert cut_short.left() == {}


def test_what_a_del_could_not_give_back_is_given_back_by_gc_also_where_the_namespace_lives(bare_lab: Lab):
    """The runtime has given up, and nobody would come by again before the namespace goes."""
    lender_is_there(bare_lab)
    cni, netns = Caller(bare_lab), bare_lab.netns("c1")
    cni.add(WEB, "c1", netns)
    bare_lab.path(PLUGINS, "lender").unlink()
    cni("DEL", WEB, "c1", netns).refused(108)
    done = tool(bare_lab, "gc")
    assert (done.returncode, b"the ipam plugin 'lender' is not in CNI_PATH" in done.stderr) == (2, True), done
    lender_is_there(bare_lab)
    done = tool(bare_lab, "gc")
    said = b"gave back what another ipam plugin gave to web c1 eth0: its DEL did not get there\n"
    assert (done.returncode, done.stdout) == (0, said)
    assert bare_lab.left() == {}


def test_so_is_what_an_add_had_that_was_cut_short_once_a_del_came_for_it(cut_short: Lab):
    cut_short.path(PLUGINS, "lender").unlink()
    Caller(cut_short).delete(WEB, "c1", "/var/run/netns/c1")
    assert tool(cut_short, "gc").returncode == 2
    lender_is_there(cut_short)
    assert tool(cut_short, "gc").returncode == 0
    assert cut_short.left() == {}


@pytest.mark.parametrize("ipam", ["other", "host-local"])
@pytest.mark.parametrize("how", ["is not there", "hangs"])
@pytest.mark.parametrize("before", ["an ADD that was cut short", "a container that is gone"])
def test_an_add_by_another_plugin_does_not_wait_for_what_an_older_one_can_not_take_back(
    bare_lab: Lab, before: str, how: str, ipam: str
):
    """The note stays beside the new one, and gc gives it back, whatever becomes of the new attachment."""
    lender_is_there(bare_lab)
    bare_lab.path(PLUGINS, "other").symlink_to(f"{REFERENCE_PLUGINS}/host-local")
    cni, netns = Caller(bare_lab), bare_lab.netns("c1")
    if before == "an ADD that was cut short":
        ends = bare_lab.path(bare_lab.write("/run/lab/ends", ""))
        assert cni("ADD", WEB, "c1", netns).status in (-9, 137)
        ends.unlink()
    else:
        cni.add(WEB, "c1", netns)
        bare_lab.out("ip", "netns", "del", "c1")
        netns = bare_lab.netns("c1")
    sick = "#!/bin/sh\nexec sleep 100\n" if how == "hangs" else ""
    bare_lab.path(PLUGINS, "lender").unlink()
    if sick:
        bare_lab.path(bare_lab.write(f"{PLUGINS}/lender", sick)).chmod(0o755)
    moved = conf(
        "web", {"type": ipam, "subnet": "10.1.0.0/24"} | ({"dataDir": "/run/lab/o"} if ipam == "other" else {})
    )
    cni.add(moved, "c1", netns)
    assert "host-local" in bare_lab.left(), "what the older one gave is still taken"
    cni("CHECK", moved, "c1", netns)
    lender_is_there(bare_lab)
    if ipam == "other":  # set aside: the living attachment is no reason to keep it
        assert tool(bare_lab, "gc").returncode == 0
        assert "host-local" not in bare_lab.left()
        assert tool(bare_lab, "ls").stdout.count(b"c1") == 1
    cni.delete(moved, "c1", netns)
    bare_lab.out("ip", "netns", "del", "c1")
    assert tool(bare_lab, "gc").returncode == 0
    assert bare_lab.left() == {}


def test_what_was_set_aside_is_given_back_before_its_plugin_gives_anew(cut_short: Lab):
    """A DEL says whose address it is by the container alone: gc's would take the new one from whoever has it."""
    cni, netns = Caller(cut_short), "/var/run/netns/c1"
    cut_short.path(PLUGINS, "lender").unlink()
    cut_short.path(PLUGINS, "other").symlink_to(f"{REFERENCE_PLUGINS}/host-local")
    moved = conf("web", {"type": "other", "subnet": "10.1.0.0/24", "dataDir": "/run/lab/o"})
    cni.add(moved, "c1", netns)
    cni.delete(moved, "c1", netns)
    lender_is_there(cut_short)
    cni.add(WEB, "c1", netns)
    assert tool(cut_short, "gc").stdout == b""
    assert len(cut_short.left()["host-local"]) == 1, "the new address is the container's still"
    cni.delete(WEB, "c1", netns)
    assert cut_short.left() == {}


def test_an_add_by_the_same_plugin_waits_until_it_has_taken_back_what_it_gave(cut_short: Lab):
    refuses = cut_short.path(cut_short.write("/run/lab/refuses", ""))
    Caller(cut_short)("ADD", WEB, "c1", "/var/run/netns/c1").refused(11)
    refuses.unlink()
    hangs = cut_short.path(cut_short.write(f"{PLUGINS}/lender", "#!/bin/sh\nexec sleep 100\n"))
    error = Caller(cut_short)("ADD", WEB, "c1", "/var/run/netns/c1").refused(11)
    assert "5 s" in error["msg"] + error["details"], error
    hangs.write_text(LENDER)
    Caller(cut_short).add(WEB, "c1", "/var/run/netns/c1")
    Caller(cut_short).delete(WEB, "c1", "/var/run/netns/c1")
    assert cut_short.left() == {}


def test_a_call_from_a_folder_that_is_gone_is_done_all_the_same(bare_lab: Lab):
    """As of `podman rm` by who stands in it: a DEL that fails there would leave all of the container's behind."""
    bare_lab.write(f"{PLUGINS}/lender", LENDER)
    bare_lab.path(PLUGINS, "lender").chmod(0o755)
    netns, gone = bare_lab.netns("c1"), "mkdir /run/lab/gone; cd /run/lab/gone; rmdir /run/lab/gone; exec"
    for verb in ("ADD", "CHECK", "DEL"):
        named = {"CNI_COMMAND": verb, "CNI_CONTAINERID": "c1", "CNI_NETNS": netns, "CNI_IFNAME": "eth0"}
        env = environment(named | {"CNI_PATH": f"nowhere:{PLUGINS}"})
        done = bare_lab.run("sh", "-c", f"{gone} {PLUGINS}/calico", env=env, stdin=json.dumps(WEB).encode())
        assert done.returncode == 0, (verb, done)
    assert bare_lab.left() == {}
    Caller(bare_lab).add(WEB, "c1", netns)
    named = {"CNI_COMMAND": "DEL", "CNI_CONTAINERID": "c1", "CNI_NETNS": "c1", "CNI_IFNAME": "eth0"}
    env = environment(named | {"CNI_PATH": PLUGINS})
    done = bare_lab.run("sh", "-c", f"{gone} {PLUGINS}/calico", env=env, stdin=json.dumps(WEB).encode())
    assert (done.returncode, bare_lab.left()) == (0, {}), done
    bare_lab.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    for words in ("attach web c1", "detach web c1"):
        env = environment({"CNI_PATH": PLUGINS})
        done = bare_lab.run("sh", "-c", f"{gone} {PLUGINS}/calico {words}", env=env)
        assert done.returncode == 0, (words, done)
    assert bare_lab.left() == {}
