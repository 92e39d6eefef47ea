"""Exact sets of packets: the algebra under the analyses of a policy."""
