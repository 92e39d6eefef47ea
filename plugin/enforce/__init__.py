"""Enforcement on one host: the nftables table `inet calico_rkt`, changed one transaction at a time."""
