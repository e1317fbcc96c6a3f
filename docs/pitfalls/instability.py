"""Trains at a rate with warm-up and without, three seeds each, and keeps every step's loss in instability.json.

PYTHONPATH=. python docs/pitfalls/instability.py [RATE], on Shapes, in a few minutes on two quiet cores. A number of
epochs gives the same losses again on the same machine.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from vit.training.record import read_metrics

SEEDS = range(3)
COMMON = (
    "train --dataset shapes --model vit_live_patch --depth 12 --embed-dim 64 --patch-size 8 --batch-size 32 "
    "--epochs 0.7 --opt adamw --patch-dropout 0 --precision fp32 --lr"
)
WAYS = {
    "AdamW, warm-up, clipped": "--warmup 0.2",
    "Adam without": "--warmup 0 --weight-decay 0 --clip-grad 1e9",
}

if __name__ == "__main__":
    common = f"{COMMON} {float(sys.argv[1]) if len(sys.argv) > 1 else 0.003}"
    losses: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            for way, flags in WAYS.items():
                out = Path(folder) / f"{seed}-{way.split()[0]}"
                command = [sys.executable, *f"-m vit {common} {flags} --seed {seed} --out".split(), str(out)]
                subprocess.run(command, check=False)  # one that diverges ends with an error
                losses[way].append([round(line["loss"], 3) for line in read_metrics(out)])
    commands = {way: f"python -m vit {common} {flags}" for way, flags in WAYS.items()}
    kept = json.dumps({"commands": commands, "losses": losses})
    Path(__file__).with_suffix(".json").write_text(kept + "\n", encoding="utf-8")
