"""A launcher's connection in, its CNI call done and answered out: the same code as a call of its own, kept warm.

The door is run.py. launcher.c is the other end (launcher_agent.c its socket, launcher_process.c the rest of it), and
wire.py what they say to each other.
"""
