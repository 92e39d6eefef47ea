"""Scripts and elements in, the kernel's table `inet calico_rkt` changed out, one transaction at a time.

The door is table.py; closing.py is the one for a host that is open.
"""
