"""`python3 -m calico_rkt` and the zip application: hands over to the plugin's front door."""

from calico_rkt.plugin.main import process

process()
