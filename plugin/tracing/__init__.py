"""Two ends in; what the kernel does with packets between them, and which rule of whom decides that, out.

The door is watch.py; table.py says what the kernel is asked to trace, packets.py reads what it tells.
"""
