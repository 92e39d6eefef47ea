"""`calico-rkt detach` in: what attach made taken away again, with all plugins of its conf, out."""

from __future__ import annotations

import argparse
import sys
from difflib import get_close_matches

from calico_rkt.plugin.commands.attach import add_key, key_of
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process import signals
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.runtime.attachments import detach, made_here
from calico_rkt.plugin.runtime.namespaces import namespace

EPILOG = """NETNS and --id are what attach was given; the namespace may be gone, and the network's conf, too.

examples:
  calico-rkt detach web c1
  calico-rkt detach web /run/netns/c1 --ifname eth1
  calico-rkt detach web --id c1

exit status: 0 it was detached, 1 it was not attached, 2 a plugin failed: say it again, or calico-rkt gc"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is detached from what."""
    add_key(parser, netns_needed=False)


def run(args: argparse.Namespace) -> int:
    """Detach; 0, or 1 where nothing was attached. CniError where a plugin failed."""
    open_log("info")
    if args.id is None and args.netns is None:
        raise CniError(Code.INVALID_ENVIRONMENT, "detach what? NETNS or --id is needed", "as attach was given it")
    key = key_of(args, namespace(args.netns).id if args.id is None else "")
    signals.listen()
    if detach(key):
        print(f"detached {key}")
        return 0
    made = made_here()
    known = ", ".join(str(k) for k in made if k.network == key.network)
    near = get_close_matches(key.network, sorted({k.network for k in made}), 1) if not known else ()
    meant = f"; did you mean {near[0]}?" if near else ""
    print(f"calico-rkt: {key} is not attached; to {key.network}: {known or 'none'}{meant}", file=sys.stderr)
    return 1
