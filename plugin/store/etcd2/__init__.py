"""Calico's data model of 2015, in etcd's v2 API."""
