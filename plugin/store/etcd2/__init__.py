"""Endpoints and profiles in, Calico's data model of 2015 in etcd's v2 API out, and back.

The door is store.py.
"""
