"""The digest that calls take is hashlib's, and takes no libcrypto."""

import hashlib
import subprocess
import sys

import pytest

from calico_rkt.compiler.digest import sha256


@pytest.mark.parametrize("data", [b"", b"calico", bytes(range(256)) * 300])
def test_it_is_the_same(data):
    assert sha256(data).hexdigest() == hashlib.sha256(data).hexdigest()
    assert sha256(data).digest() == hashlib.sha256(data).digest()


def test_it_is_hashlibs_where_python_has_none_of_its_own():
    program = (
        "import sys; sys.modules['_sha2'] = sys.modules['_sha256'] = None\n"
        "from calico_rkt.compiler.digest import sha256\n"
        "assert 'hashlib' in sys.modules; print(sha256(b'calico').hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(b"calico").hexdigest()


def test_libcrypto_is_not_loaded_for_it():
    program = "import sys; import calico_rkt.compiler.digest; assert not {'hashlib', '_hashlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
