"""A host's records in; the same in state.sqlite, as builds before the log read them, out: `calico-rkt downgrade`."""

from __future__ import annotations

import argparse

from calico_rkt.compiler.diagnostics import counted
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.store.local import own_stores

EPILOG = """\
examples:
  systemctl stop calico-rkt-agent.socket calico-rkt-agent.service
  calico-rkt downgrade             then put the older build in place, at once, and let it restore

A call of this build in between takes the records over again, and the older build refuses: run it once more then.

exit status: 0 done, or nothing to give; 2 bad usage, or something failed: nothing is lost, and this build goes on"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(_: argparse.Namespace) -> int:
    """Give the records of each store that this host has; 0. CniError where one can't be given."""
    open_log("info")
    given = 0
    for opened in own_stores().values():
        store = opened()
        try:
            attached = len(store.endpoints())
            if store.to_older_builds():
                given += 1
                print(f"{store.run_dir}: {counted(attached, 'attachment')} given to older builds")
        finally:
            store.close()
    if not given:
        print("nothing is recorded here: an older build can be put in place as it is")
    return 0
