"""A plugin whose import never ends, for the tests of the worker pool."""

import os
import time

from r1.plugins import note_registration

if "HANG_ON_IMPORT" in os.environ:
    time.sleep(1000)
note_registration("hanging")
