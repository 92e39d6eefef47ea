"""A command line in, an exit status out: calico-rkt's commands for people."""
