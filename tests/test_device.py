import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from vit.device import choose_device, device_name, join_processes, lacks_memory

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


@pytest.mark.parametrize("kind", ["mps", "xpu", "cuda"])
def test_auto_is_the_gpu_of_whatever_kind_torch_knows(kind, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind))
    assert choose_device().type == choose_device(kind).type == kind
    assert choose_device("cpu").type == "cpu"
    other = "xpu" if kind == "mps" else "mps"
    with pytest.raises(ValueError, match=f"'{other}'.*: cpu, {kind}\\."):
        choose_device(other)


def test_a_gpu_that_tells_no_name_is_called_by_its_kind():
    assert device_name(torch.device("mps")) == "mps GPU"
    threads = torch.get_num_threads()
    assert device_name(torch.device("cpu")).endswith(" 1 thread" if threads == 1 else f" {threads} threads")


def test_several_processes_on_another_kind_of_gpu_are_refused(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(ValueError, match=r"mps.*--device cpu"):
        join_processes(torch.device("mps"))


def test_a_process_without_a_gpu_of_its_own_is_told_how_many_there_are(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: pytest.fail(f"there is no {device}"))
    with pytest.raises(ValueError, match=r"process 3 here, .* are 2\. Use --nproc-per-node 2, or --device cpu"):
        join_processes(torch.device("cuda"))


@pytest.mark.parametrize("said", ["can't allocate memory", "not enough memory"])
def test_a_lack_of_memory_is_known_by_what_each_system_says(said):
    words = f"[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: {said}: you tried to allocate 10 bytes."
    assert lacks_memory(RuntimeError(words)) and lacks_memory(MemoryError())
    assert not lacks_memory(RuntimeError("size mismatch, got input (2), mat (2x3)"))
