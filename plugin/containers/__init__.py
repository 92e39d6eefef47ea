"""Records of attachments and the files of runtimes in; who is who on this host, by the names that people use, out.

The doors are listed.py (all of them) and meant.py (whom a word means).
"""
