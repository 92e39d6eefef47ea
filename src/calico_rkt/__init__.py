"""calico-rkt: a CNI plugin whose network policy is compiled, reviewed and proven."""

__version__ = "0.1.0"
BUILD = ""
"""What dist/calico and its launcher know each other by; packaging/build.py computes it, source trees have none."""
FILE = -1
"""The open file that the application is read from; -1 where it was started otherwise."""
