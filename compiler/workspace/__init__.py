"""A folder, a revision of it or this host in, what decides there out: its confs, and the files of `profiles/`.

The doors are folder.py, revision.py, host.py and single.py; policy.py says what the files say to one network.
"""
