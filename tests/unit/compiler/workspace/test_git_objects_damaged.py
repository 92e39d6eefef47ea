"""An object that is cut off in the middle is an error in words, and nobody waits for the rest of it."""

import os
import subprocess

import pytest

from calico_rkt.compiler.workspace.git_objects import Objects


def test_an_object_in_the_place_of_another_is_damaged(tmp_path):
    def git(*words, data=b""):
        return subprocess.run(["git", *words], cwd=tmp_path, input=data, check=True, capture_output=True).stdout.strip()

    for form in ("sha1", "sha256"):
        git("init", "-q", f"--object-format={form}", form)
        here = tmp_path / form
        one, other = (
            git("-C", form, "hash-object", "-w", "--stdin", data=text).decode()
            for text in (b"ingress: []\n", b"ingress: [default]\n" + b"# long\n" * 200_000)
        )
        objects = Objects(here, os.environ, ())
        assert (objects.read(one), objects.read(other, 5)) == (b"ingress: []\n", b"ingre")
        objects.close()
        paths = [here / ".git" / "objects" / name[:2] / name[2:] for name in (one, other)]
        paths[0].unlink()
        paths[0].write_bytes(paths[1].read_bytes())
        with pytest.raises(OSError, match="damaged"):
            objects.read(one)
        assert objects.read(other, 5) == b"ingre"
        objects.close()


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


@pytest.mark.parametrize("mode", [b"100644 web.yaml\0", b"100644 web.yaml", b"x web.yaml\0"])
def test_a_tree_that_git_itself_never_writes_is_damaged(tmp_path, mode):
    """Two files of one name: a reviewer is shown the one, and the other may decide."""

    def git(*words, data=b""):
        return subprocess.run(["git", *words], cwd=tmp_path, input=data, check=True, capture_output=True).stdout.strip()

    git("init", "-q")
    blobs = [bytes.fromhex(git("hash-object", "-w", "--stdin", data=text).decode()) for text in (b"1", b"2")]
    first = b"100644 web.yaml\0" + blobs[0]
    objects = Objects(tmp_path, os.environ, ())
    names = [
        git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=data).decode()
        for data in (first, first + mode + blobs[1], first[:-1])
    ]
    assert objects.entries(names[0]) == {"web.yaml": (0o100644, blobs[0].hex())}
    for name in names[1:]:
        with pytest.raises(OSError, match="damaged"):
            objects.entries(name)
    objects.close()
