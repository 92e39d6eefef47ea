# What python3 runs first of dist/calico. Any Python 3 has to understand this file: the right one may be another.
import json
import os
import sys

NEEDED = (3, 11)
FOLDERS = ("/usr/bin", "/usr/local/bin")  # what is in PATH may be somebody's, and this runs as root


def another():
    """Go on as a newer Python where this host has one beside the one that was found first."""
    for minor in range(20, NEEDED[1] - 1, -1):
        for folder in FOLDERS:
            path = os.path.join(folder, "python3.%d" % minor)
            if os.access(path, os.X_OK):
                os.execv(path, [path, "-IS", "-Xutf8", *sys.argv])


def refuse():
    found = "%d.%d" % sys.version_info[:2]
    msg = "python3 (3.11 or newer) is needed, and %s is %s" % (sys.executable, found)
    if "CNI_COMMAND" in os.environ:
        print(json.dumps({"cniVersion": "1.1.0", "code": 5, "msg": msg}))
    else:
        sys.stderr.write("calico: %s\n" % msg)
    sys.exit(1)


if sys.version_info < NEEDED:
    another()
    refuse()

import calico_rkt
from calico_rkt.plugin.main import main

calico_rkt.BUILD = "@build@"
if sys.argv[0].startswith("/proc/self/fd/"):  # the launcher's open file: what is read of it later is of this build
    calico_rkt.FILE = int(sys.argv[0][14:])
    os.set_inheritable(calico_rkt.FILE, False)
    sys.argv[0] = os.readlink(sys.argv[0])
    sys.argv[0] = sys.argv[0].removesuffix(" (deleted)")
sys.exit(main())
