"""Calico's v3 Profile: written, and read back by Calico's own rules."""
