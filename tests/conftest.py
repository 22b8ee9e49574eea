import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Several threads in one small operation wait for each other where cores are shared, a thousand times as long as the
operation takes. Set before torch is imported."""

settings.register_profile("busy", deadline=None)
settings.load_profile("busy")
"""How long an example takes proves nothing where cores are shared."""
