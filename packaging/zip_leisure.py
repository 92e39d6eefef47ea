# In dist/calico this is the __init__ of a package that no call of a runtime needs. All of it is in an archive of its
# own: every start reads the list of the application's files, and this package would make that half as long again.
import importlib
import os
import sys


def load(name, read):
    """Put the package of the archive in the place of this one; read gives the bytes of a file beside it."""
    memory = os.memfd_create(name, os.MFD_CLOEXEC)  # open for as long as the process: modules are read when asked for
    with os.fdopen(memory, "wb", closefd=False) as stream:
        stream.write(read(f"{name}/archive.zip"))
    sys.path.insert(0, f"/proc/self/fd/{memory}")
    del sys.modules[name]
    importlib.import_module(name)


load(__name__, __loader__.get_data)
