"""The confs of a host and the name of a network in; the plugins that a runtime runs for it out."""

from __future__ import annotations

from pathlib import Path

from calico_rkt.compiler.conf.chain import Chain, read_chain
from calico_rkt.compiler.workspace.confs import Confs
from calico_rkt.compiler.workspace.files import read_file


def chain_in(confs: Confs, network: str) -> Chain | None:
    """By the conf that counts for the network; None where none names it. CompileError as read_chain() has it."""
    path = confs.paths.get(network)
    return None if path is None else read_chain(read_file(Path(path)), path)
