"""
What all tests share: no deadline, since how long a step takes says more about the machine than about the code; and in
CI the same examples every time, so that a red run says something about the change.
"""

import os

from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
