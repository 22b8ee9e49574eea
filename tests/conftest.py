import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Several threads in one small operation wait for each other where cores are shared, a thousand times as long as the
operation takes. Set before torch is imported."""
