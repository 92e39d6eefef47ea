"""Endpoints and published profiles in, policy in force out: here in nftables, in a cluster by Felix.

The door is enforcer.py, which says by the store whether local.py or felix.py does it.
"""
