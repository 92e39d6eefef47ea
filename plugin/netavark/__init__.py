"""A call of netavark's in, as it makes them for podman 5 and later; a network of ours, or a container in it, out.

netavark starts a driver plugin by its name with a verb, and JSON on stdin. The door is driver.py.
"""
