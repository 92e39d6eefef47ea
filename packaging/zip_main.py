# What python3 runs first of dist/calico. Any Python 3 has to understand this file: the right one may be another.
# Nor may it import what is not in every Python 3: Debian's python3-minimal has no json.
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


def refuse(why):
    msg = "python3 (3.11 or newer) is needed, and %s %s" % (sys.executable, why)
    if "CNI_COMMAND" in os.environ:
        print('{"cniVersion": "1.1.0", "code": 5, "msg": "%s"}' % msg.replace("\\", "\\\\").replace('"', '\\"'))
    else:
        sys.stderr.write("calico: %s\n" % msg)
    sys.exit(1)


if sys.version_info < NEEDED:
    another()
    refuse("is %d.%d" % sys.version_info[:2])
if not os.path.exists(os.path.join(os.path.dirname(os.__file__), "sqlite3")):
    refuse("is without the standard library (python3-minimal is not enough): apt-get install python3")

import calico_rkt
from calico_rkt.plugin.main import process

calico_rkt.BUILD = "@build@"
if sys.argv[0].startswith("/proc/self/fd/"):  # the launcher's open file: what is read of it later is of this build
    calico_rkt.FILE = int(sys.argv[0][14:])
    os.set_inheritable(calico_rkt.FILE, False)
    sys.argv[0] = os.readlink(sys.argv[0])
    sys.argv[0] = sys.argv[0].removesuffix(" (deleted)")
process()
