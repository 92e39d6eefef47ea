"""`python3 -m calico_rkt` and the zip application: hands over to the plugin's front door."""

import sys

from calico_rkt.plugin.main import main

sys.exit(main())
