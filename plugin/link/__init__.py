"""An endpoint's names and addresses in; a veth pair in Calico's way, its routes, neighbours and sysctls out.

The door is pair.py; host_ends.py looks at, and mends, what is there already.
"""
