"""What any process of ours asks of the system in, done with care out: locks, the log, signals, streams.

Each file is a door: locks.py, log.py, signals.py, streams.py, trace.py, unexpected.py.
"""
