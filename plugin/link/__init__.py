"""An endpoint's names and addresses in; a veth pair in Calico's way, its routes, neighbours and sysctls out."""
