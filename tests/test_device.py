import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

KEPT = """
from pathlib import Path
import torch
from vit.device import keeping_memory

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1000 for line in lines if line.startswith("VmRSS"))

def after_a_step():
    several = [torch.ones(1 << 20) for _ in range(100)]  # 400 MB, in pieces that no step gets from the system alone
    del several
    return resident()

start = resident()
with keeping_memory():
    outer = after_a_step()
    with keeping_memory():
        inner = after_a_step()
    still = resident()
print(start, outer, inner, still, resident())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_memory_is_kept_until_the_last_training_has_ended():
    done = subprocess.run([sys.executable, "-c", KEPT], cwd=ROOT, capture_output=True, text=True, check=True)
    start, *during, after = map(int, done.stdout.split())
    assert min(during) > start + 350
    assert after < start + 100
