"""containerd's config.toml in; what its CRI reads, out. `ctr run --cni` reads fixed folders, whatever it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from calico_rkt.plugin.doctor.runtimes.reader import CNI, Folder, Runtime, Toml, Wrong, installed, read_toml, version_of

_CONF = "/etc/containerd/config.toml"
_PLUGINS = "/opt/cni/bin"
_CRI = "io.containerd.grpc.v1.cri"
_CNI = (("plugins", _CRI, "cni"), ("plugins", "io.containerd.cri.v1.runtime", "cni"))
"""Of containerd 1, and of 2."""
_FOLDERS = ("conf_dir", "bin_dir", "conf_dirs", "bin_dirs")
_RUNTIMES = (
    ("plugins", _CRI, "containerd", "runtimes"),
    ("plugins", "io.containerd.cri.v1.runtime", "containerd", "runtimes"),
)
_TASKS = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"


def reads() -> Iterator[Runtime | Wrong]:
    """containerd, where it is installed."""
    if not installed("containerd"):
        return
    conf = read_toml(_CONF, "containerd")
    if conf.wrong:
        yield conf.wrong
        return
    odd = next(((k, conf.get(*keys, k)) for keys in _CNI for k in _FOLDERS if _is_odd(conf.get(*keys, k))), None)
    if odd:
        message = f"{odd[0]} is {odd[1]!r}, and should be the path of a folder"
        follows = "containerd goes on without its CRI, or does not start"
        yield Wrong("CR912", message, follows, f"${{EDITOR:-vi}} {_CONF}", conf.place(odd[0]))
        return
    handlers = tuple(_handlers(conf))
    asked = bool(handlers) or any(map(installed, ("crictl", "kubelet"))) or Path(_TASKS).is_dir()
    disabled = {"cri", _CRI} & set(conf.texts_at("disabled_plugins"))
    if disabled:
        if asked:
            cure = f"sed -i '/^ *disabled_plugins/d' {_CONF} && systemctl restart containerd"
            follows = "crictl and kubelet reach nobody, so no pod runs"
            yield Wrong("CR908", "containerd's CRI is switched off", follows, cure, conf.place("disabled_plugins"))
        yield Runtime("containerd", (Folder(CNI),), (Folder(_PLUGINS),), newest="1.0.0", used=False, one_conf=True)
        return
    version = version_of("containerd")
    old = not version or version < (2,)
    folder, plugins = (_set(conf, key, default) for key, default in (("conf_dir", CNI), ("bin_dir", _PLUGINS)))
    own_loopback = any(conf.get(*keys[:2], "use_internal_loopback") is True for keys in _CNI)
    most = next((conf.get(*keys, "max_conf_num") for keys in _CNI if conf.get(*keys, "max_conf_num") is not None), 1)
    yield Runtime(
        "containerd",
        (folder, *handlers),
        (plugins,),
        newest="1.0.0" if old else "1.1.0",
        used=asked,
        one_conf=most == 1,
        needs=() if own_loopback else ("loopback",),
    )


def _is_odd(value: object) -> bool:
    return value is not None and not isinstance(value, (str, list))


def _set(conf: Toml, key: str, default: str) -> Folder:
    """The folder that a key names; containerd 2 has lists of them, of which the first is shown."""
    for keys in _CNI:
        for name in (key, f"{key}s"):
            found = conf.text_at(*keys, name) or next(iter(conf.texts_at(*keys, name)), "")
            if found:
                return Folder(found, conf.place(name, found))
    return Folder(default)


def _handlers(conf: Toml) -> Iterator[Folder]:
    for keys in _RUNTIMES:
        handlers = conf.get(*keys)
        for name in handlers if isinstance(handlers, dict) else ():
            folder = conf.text_at(*keys, name, "cni_conf_dir")
            if folder:
                yield Folder(folder, conf.place("cni_conf_dir", folder))
