"""The plugin: everything that has an effect on the kernel, a disk or another process.

The door of a CNI call is main.py; for people it is commands/.
"""
