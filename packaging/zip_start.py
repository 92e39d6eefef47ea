"calico-rkt: a CNI call"

# What the launcher gives Python behind -c for a CNI call, with the application's open file as the next word, in place
# of `python3 FILE`, which reads the zip's directory. The zip's comment, 47 bytes, says where its index is and for which
# Python; another one reads the zip. Any Python 3 has to understand this file; build.py leaves these comments out.
import marshal
import posix
import sys
from _frozen_importlib_external import MAGIC_NUMBER

sys.argv = sys.argv[1:]
own = int(sys.argv[0][14:])
end = posix.fstat(own).st_size
made_by, whole, at, length = posix.pread(own, 47, end - 47).split()
if made_by.decode() == MAGIC_NUMBER.hex():
    begin = end - int(whole)
    code, names = marshal.loads(posix.pread(own, int(length), begin + int(at)))
    exec(code, {"names": names, "own": own, "begin": begin})
else:
    import runpy

    runpy.run_path(sys.argv[0], run_name="__main__")
