# In dist/calico this is yaml._yaml, PyYAML's parser in C, which can not be imported out of a zip: it is loaded from
# memory where it was built for the Python that runs. Else this is an ImportError, and PyYAML goes on in Python.
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location


def load(name, read):
    """Put the extension module in the place of this one; read gives the bytes of a file of the zip."""
    try:
        data = read("yaml/_yaml" + EXTENSION_SUFFIXES[0])
        memory = os.memfd_create("yaml", os.MFD_CLOEXEC)
        try:
            with os.fdopen(memory, "wb", closefd=False) as stream:
                stream.write(data)
            path = f"/proc/self/fd/{memory}"
            spec = spec_from_file_location(name, path, loader=ExtensionFileLoader(name, path))
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[name] = module
        finally:
            os.close(memory)
    except Exception as e:
        raise ImportError(f"no parser in C: {e}") from e


load(__name__, __loader__.get_data)
