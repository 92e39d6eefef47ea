"""calico-rkt: a CNI plugin whose network policy is compiled, reviewed and proven."""

__version__ = "0.1.0"
