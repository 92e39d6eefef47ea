"""Lines put and dropped in; tables of them out, kept in an append-only file of checked records, and sqlite's of before.

The door is file.py. records.py is the form on the disk, tables.py what follows from it in memory, takeover.py the way
from and back to the state file of older builds.
"""
