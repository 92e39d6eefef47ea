"""From one datastore to a file, and from there or at once into another: calico-rkt export and import."""
