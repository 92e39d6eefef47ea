"""An object that is cut off in the middle is an error in words, and nobody waits for the rest of it."""

import os
import subprocess

import pytest

from calico_rkt.compiler.workspace.git_objects import Objects


@pytest.mark.parametrize("whole", [5_000, 500_000])
def test_an_object_that_ends_in_the_middle_is_damaged(tmp_path, whole):
    def git(*words, data=b""):
        return subprocess.run(["git", *words], cwd=tmp_path, input=data, check=True, capture_output=True).stdout.strip()

    git("init", "-q")
    data = os.urandom(whole)
    name = git("hash-object", "-w", "--stdin", data=data).decode()
    objects = Objects(tmp_path, os.environ, ())
    assert objects.read(name) == data
    objects.close()
    path = tmp_path / ".git" / "objects" / name[:2] / name[2:]
    path.chmod(0o600)
    for cut in (whole // 2, 60):
        os.truncate(path, cut)
        with pytest.raises(OSError, match="damaged"):
            objects.read(name)
        objects.close()
