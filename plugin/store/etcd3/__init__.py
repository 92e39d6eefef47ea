"""Endpoints and profiles in, Calico's resources of today in etcd's v3 API out, and back.

The door is store.py.
"""
