from dataclasses import replace
from types import MappingProxyType

import pytest

from calico_rkt.compiler import pipeline
from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import ToHost
from calico_rkt.compiler.pipeline import compile_for_host, digest_for_host
from calico_rkt.compiler.workspace.policy import parse_files

CONF = NetConf("web", "calico", "1.0.0", Ipam("host-local"))


def codes(conf, **files):
    with pytest.raises(CompileError) as caught:
        compile_for_host(conf, {f"{n}.yaml": t.encode() for n, t in files.items()})
    return {d.code for d in caught.value.diagnostics if d.is_error}


def test_a_host_without_files_gets_the_default():
    compiled = compile_for_host(CONF, {})
    assert compiled.network.endpoint_to_host is ToHost.DROP
    assert compiled.digest == digest(compiled.network)
    assert compiled.digest in compiled.text


def test_files_that_were_parsed_and_the_same_bytes_compile_alike():
    files = {"web.yaml": b"network: web\negress: []\n"}
    assert compile_for_host(CONF, parse_files(files)).text == compile_for_host(CONF, files).text


LABELLED = "network: web\ningress:\n  - {action: Allow, source: {selector: Role == 'db'}}\n"
STRANGE = "network: web\ningress:\n  - {action: Allow, source: {network: nobody}}\n"
LONG = "network: web\ningress:\n" + "".join(
    f"  - {{action: Allow, source: {{nets: [10.{n >> 8}.{n & 255}.0/24]}}}}\n" for n in range(1100)
)


@pytest.mark.parametrize("datastore", ["local", "etcdv2", "etcdv3"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "network: web\negress: []\n",
        "network: web\nendpoint_to_host: return\n",
        "network: web\ningress:\n  - {action: Alow}\n",
        LABELLED,
        STRANGE,
        LONG,
    ],
)
def test_the_digest_alone_is_that_of_the_text_and_what_can_not_be_said_is_refused_alike(text, datastore):
    conf = replace(CONF, datastore_type=datastore)
    files = {"web.yaml": text.encode()} if text else {}

    def said(act):
        try:
            return act(conf, files, frozenset({"web"}))
        except CompileError as e:
            return e.diagnostics

    whole, alone = said(compile_for_host), said(digest_for_host)
    assert alone == (whole if isinstance(whole, tuple) else whole.digest)


def test_all_problems_of_files_and_passes_come_at_once():
    web = "network: web\ningress:\n  - {action: Alow}\n  - {action: Allow, source: {nets: [office]}}\n"
    assert codes(CONF, web=web, x="settings: {default: x}\n") == {"CR305", "CR401", "CR337"}


def test_where_this_host_enforces_nftables_must_be_able_to_say_it():
    labelled = b"network: web\ningress:\n  - {action: Allow, source: {selector: Role == 'db'}}\n"
    with pytest.raises(CompileError):
        compile_for_host(CONF, {"web.yaml": labelled})
    cluster = replace(CONF, datastore_type="etcdv3")
    assert "Role ==" in compile_for_host(cluster, {"web.yaml": labelled}).text


def test_felixs_own_setting_is_refused_on_a_cluster():
    assert codes(replace(CONF, datastore_type="etcdv3"), web="network: web\nendpoint_to_host: drop\n") == {"CR407"}


def test_nothing_leaves_the_compiler_that_reads_back_as_something_else(monkeypatch):
    # A writer that forgets a rule, and the real reader.
    honest = pipeline.TARGETS["calico-v3"]
    liar = replace(honest, writer=lambda network, ids: honest.writer(replace(network, egress=()), ids))
    monkeypatch.setattr(pipeline, "TARGETS", MappingProxyType({**pipeline.TARGETS, "calico-v3": liar}))
    assert codes(CONF) == {"CR601"}
