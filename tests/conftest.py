import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Several threads in one small operation wait for each other where cores are shared, a thousand times as long as the
operation takes. Set before torch is imported."""

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")
"""The same examples every time, so that what passes once passes again; ``--hypothesis-profile=explore`` looks for new
ones. How long an example takes proves nothing where cores are shared."""
