"""Python reads this first in the server of test_zerogpu: the real package of ZeroGPU, whose GPU is not started."""

import os
import sys

if "app.py" in sys.orig_argv and os.getenv("SPACES_ZERO_GPU"):
    import spaces.zero.torch

    spaces.zero.torch.init = lambda uuid: None  # what is decorated computes on the CPU of the fork
    spaces.zero.torch.move = lambda callback: None
