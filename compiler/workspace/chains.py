"""The confs of a host and the name of a network in; the plugins that a runtime runs for it out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from calico_rkt.compiler.conf.chain import Chain, read_chain
from calico_rkt.compiler.conf.shape import Shape, shape_of
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.workspace.confs import Confs, conf_files
from calico_rkt.compiler.workspace.files import read_file
from calico_rkt.compiler.workspace.host import host_folders


def chain_in(confs: Confs, network: str) -> Chain | None:
    """By the conf that counts for the network; None where none names it. CompileError as read_chain() has it."""
    path = confs.paths.get(network)
    return None if path is None else read_chain(read_file(Path(path)), path)


def chains_of(network: str) -> dict[str, Chain]:
    """By each conf of this host that names the network, whichever runtime reads it; but for files that none takes."""
    found: dict[str, Chain] = {}
    for folder in host_folders(()):
        with suppress(CompileError):
            for path, data in conf_files(folder, []).items():
                if network.encode() in data and shape_of(path, data) == Shape(ours=True, name=network):
                    with suppress(CompileError):
                        found[path] = read_chain(data, path)
    return found
