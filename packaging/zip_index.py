# What finds and loads modules of dist/calico in a CNI call: by the index of all files, which build.py has put beside
# them, and by the launcher's open file. zipimport would read the zip's directory and each file's own head, for a tenth
# of a call's time. zip_start.py runs this with `own`, which is that file, `begin`, where the zip in it begins, and
# `names`: where in the zip each file is, and its length.
import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec

own, begin, names = (globals()[name] for name in ("own", "begin", "names"))
_HEAD = 16  # of a .pyc: who made it, and of what, which the index vouches for
_folder = sys.argv[0] + "/"


def read(name):
    """The bytes of a file; KeyError where there is none."""
    at, length = names[name]
    return posix.pread(own, length, begin + at)


def find(name):
    """(name of its compiled file, whether it is a package) of a module; None where it is none of these."""
    path = name.replace(".", "/")
    for inside in (path + ".pyc", path + "/__init__.pyc"):
        if inside in names:
            return inside, inside[len(path)] == "/"
    return None


class Indexed:
    """Finder and loader at once, as importlib wants them."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        found = find(name)
        if found is None:
            return None
        inside, is_package = found
        spec = ModuleSpec(name, Indexed, origin=_folder + inside, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations.append(_folder + name.replace(".", "/"))
        return spec

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        exec(Indexed.get_code(module.__name__), module.__dict__)

    @staticmethod
    def get_code(name):
        return marshal.loads(read(find(name)[0])[_HEAD:])

    @staticmethod
    def get_data(path):
        try:
            return read(path.removeprefix(_folder))
        except KeyError:
            raise FileNotFoundError(2, "it is not in the application", path) from None

    @staticmethod
    def get_source(name):
        """For tracebacks."""
        from zipimport import zipimporter

        return zipimporter(_folder[:-1]).get_data(find(name)[0][:-1]).decode()


sys.meta_path.insert(0, Indexed)
exec(Indexed.get_code("__main__"), sys.modules["__main__"].__dict__)
