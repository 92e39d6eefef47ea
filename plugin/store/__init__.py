"""Endpoints, addresses and published profiles in, kept, and out again: here in a log, in a cluster in Calico's etcd.

The doors are local.py and clusters.py; protocol.py says what every store can do.
"""
