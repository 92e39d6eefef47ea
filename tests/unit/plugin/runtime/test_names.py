"""The name of a container is read where its runtime keeps it; what can't be read has none."""

import json

import pytest

from calico_rkt.plugin.runtime.names import names_of

A, B, C, D, E = ("a" * 64, "b" * 64, "c" * 64, "web1", f"default-{'e' * 64}")


def written(root, path, content):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def host(tmp_path):
    storage = "var/lib/containers/storage/overlay-containers/containers.json"
    written(tmp_path, storage, [{"id": A, "names": ["server"]}, {"id": "f" * 64, "names": ["another"]}])
    written(tmp_path, f"var/lib/docker/containers/{B}/config.v2.json", {"Name": "/db"})
    task = "run/containerd/io.containerd.runtime.v2.task"
    pod = {"io.kubernetes.cri.sandbox-name": "api", "io.kubernetes.cri.sandbox-namespace": "prod"}
    written(tmp_path, f"{task}/k8s.io/{C}/config.json", {"annotations": pod})
    written(tmp_path, "var/lib/nerdctl/1935db59/names/default/cache", E.removeprefix("default-"))
    written(tmp_path, f"{task}/default/{D}/config.json", {"annotations": {}})
    return tmp_path


def test_each_runtime_s_file_is_read(host):
    assert names_of([A, B, C, D, E], host) == {A: "server", B: "db", C: "prod/api", E: "cache"}


def test_nothing_is_read_for_nobody(host):
    assert names_of([], host) == {}


@pytest.mark.parametrize(
    "content", ["", "[", "null", "7", "{}", "[7]", '[{"id": 7, "names": 8}]', '[{"names": []}]', "[" * 100_000, "\x00"]
)
def test_a_damaged_file_takes_no_other_s_name(host, content):
    written(host, "var/lib/containers/storage/vfs-containers/containers.json", content)
    written(host, f"var/lib/docker/containers/{B}/config.v2.json", content)
    assert names_of([A, B, C], host) == {A: "server", C: "prod/api"}


@pytest.mark.parametrize("container", ["../../../etc", "..", ".", "/etc", ""])
def test_an_id_leads_out_of_no_folder(host, container):
    assert names_of([container], host) == {}


def test_storage_that_was_moved_is_found(host):
    written(host, "etc/containers/storage.conf", '[storage]\ndriver = "vfs"\ngraphroot = "/srv/storage"\n')
    written(host, "srv/storage/vfs-containers/containers.json", [{"id": A, "names": ["moved"]}])
    assert names_of([A], host) == {A: "moved"}


@pytest.mark.parametrize("conf", ["", "[", "[storage]", "storage = 7", "[storage]\ngraphroot = []", "\x00"])
def test_a_storage_conf_that_says_nothing_leaves_the_usual_folder(host, conf):
    written(host, "etc/containers/storage.conf", conf)
    assert names_of([A], host) == {A: "server"}
