"""A plugin that hangs is asked again and again, and not for ever: with real notes and a program that sleeps."""

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.plugin.attach import lent, patience
from calico_rkt.plugin.cni.request import Request
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link.pair import Netns
from calico_rkt.plugin.model import Key

HANGS = (
    '#!/bin/sh\necho "$CNI_CONTAINERID" >>{0}/asked\ncase $CNI_CONTAINERID in well*) exit 0 ;; esac\nexec sleep 100\n'
)


@pytest.fixture
def hung(tmp_path, monkeypatch):
    """Notes of a plugin that hangs for those that are not well, and what it was asked."""
    monkeypatch.setattr(patience, "FOR_NOBODY", 2.0)
    monkeypatch.setattr(patience, "ONCE_HUNG", 1.0)
    (tmp_path / "slow").write_text(HANGS.format(tmp_path))
    (tmp_path / "slow").chmod(0o755)
    conf, raw = NetConf("web", "calico", "1.0.0", Ipam("slow")), b'{"ipam": {"type": "slow"}}'

    def note(container):
        request = Request("ADD", conf, raw, container, "eth0", netns="/nowhere", path=(str(tmp_path),))
        lent.note(tmp_path, Key("web", container, "eth0"), request, Netns("/nowhere", -1, 1, 1))

    note.asked = lambda: (tmp_path / "asked").read_text().split()
    return note


def given_back(run_dir):
    """What gc does: those that were given back, and the words of those that were not."""
    plugins, given, words = patience.Patience(), [], []
    for one in tuple(lent.noted(run_dir)):
        try:
            lent.give_back(run_dir, one.key, plugins)
            given.append(one.key.container)
        except CniError as e:
            words.append(f"{e.code} {e.msg}")
    return given, words


def test_all_that_a_plugin_hangs_together_has_an_end(tmp_path, hung):
    for number in range(20):
        hung(f"c{number}")
    given, words = given_back(tmp_path)
    assert (given, len(words)) == ([], 20)
    assert 2 <= len(hung.asked()) <= 4
    assert words[-1] == f"{Code.TRY_AGAIN} ipam plugin 'slow' was not asked, since it has hung again and again"


def test_what_hung_comes_last_the_next_time(tmp_path, hung):
    for number in range(4):
        hung(f"c{number}")
    hung("well")
    given, _ = given_back(tmp_path)
    assert given == []
    for _ in range(2):
        more, _ = given_back(tmp_path)
        given += more
    assert given == ["well"]


def test_one_that_hung_once_is_asked_for_the_others(tmp_path, hung):
    hung("c1")
    hung("well")
    assert given_back(tmp_path)[0] == ["well"]
