"""Endpoints, addresses and published profiles kept: on one host in sqlite, in a cluster in Calico's etcd."""
