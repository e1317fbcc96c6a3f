"""Who may import whom, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "vit/model.py": set(),
    "vit/variants.py": {"vit.model"},
    "vit/attention.py": set(),
    "vit/probing.py": set(),
    "vit/heads.py": {"vit.probing"},
    "vit/figures.py": set(),
    "vit/shapes.py": set(),
    "vit/data.py": {"vit.cifar10", "vit.shapes"},
    "vit/cifar10.py": set(),
    "vit/augment.py": set(),
    "vit/device.py": set(),
    "vit/optim.py": {"vit.device"},
    "vit/corruptions.py": set(),
    "vit/peers.py": {"vit.data", "vit.model"},
    "vit/report.py": {
        f"vit.{n}" for n in ("checkpoint", "corruptions", "data", "device", "evaluation", "figures", "model")
    },
    "vit/benchmark.py": {
        f"vit.{n}" for n in ("config", "data", "device", "evaluation", "peers", "training", "variants")
    },
    "vit/config.py": {"vit.optim"},
    "vit/state.py": {"vit.config", "vit.optim"},
    "vit/evaluation.py": {"vit.data", "vit.device"},
    "vit/training.py": {f"vit.{n}" for n in ("augment", "config", "data", "device", "evaluation", "optim", "state")},
    "vit/pace.py": {f"vit.{n}" for n in ("config", "data", "training", "variants")},
    "vit/run.py": {
        f"vit.{n}" for n in ("checkpoint", "config", "data", "device", "record", "state", "training", "variants")
    },
    "vit/record.py": {"vit.figures", "vit.training"},
    "vit/checkpoint.py": {"vit.description", "vit.model"},
    "vit/description.py": {"vit.model"},
    "vit/__init__.py": {"vit.checkpoint", "vit.model", "vit.variants"},
}
ONLY_TORCH = {f"vit/{name}.py" for name in ("attention", "augment", "device", "model", "optim", "probing", "shapes")}


def imported(file: Path) -> set[str]:
    """Full names of all modules that a file imports, inside its functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            # "from vit import data" names a module, "from vit.data import load" what is in one
            submodules = {f"{node.module}.{a.name}" for a in node.names}
            found = {name for name in submodules if (ROOT / (name.replace(".", "/") + ".py")).exists()}
            names |= found or {node.module}
    return names


@pytest.mark.parametrize("name", [str(p.relative_to(ROOT)) for p in sorted((ROOT / "vit").rglob("*.py"))])
def test_a_module_imports_only_what_the_design_allows(name):
    names = imported(ROOT / name)
    ours = {n for n in names if n.split(".")[0] == "vit"}
    if name in ALLOWED:
        assert ours <= ALLOWED[name]
    if not name.startswith("vit/ui/"):
        assert not any(n.startswith("vit.ui") for n in ours)
        assert not any(n.split(".")[0] in ("gradio", "spaces") for n in names)
    if name in ONLY_TORCH:
        outside = {n.split(".")[0] for n in names - ours} - set(sys.stdlib_module_names)
        assert outside <= {"torch"}


def test_importing_the_package_loads_neither_gradio_nor_matplotlib_and_prints_nothing():
    code = "import sys, vit; assert not {'gradio', 'matplotlib', 'torchvision', 'pyarrow'} & set(sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
