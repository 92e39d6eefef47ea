"""Calico's data of today: resources and addresses in etcd's v3 API."""
