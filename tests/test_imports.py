"""Who may import whom, and what importing costs and does: the floors of the house, from the ground up."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = [  # a module imports from its own room and from floors below; never up, never sideways
    {"vit.environment", "vit.device", "vit.precision", "vit.model", "vit.figures"},
    {"vit.cnn", "vit.data"},
    {"vit.variants"},
    {"vit.weights", "vit.interpret"},
    {"vit.evaluation", "vit.prediction"},
    {"vit.report", "vit.training"},
    {"vit.baselines", "vit.live"},
    {"vit.benchmark", "vit.few"},
    {"vit.cli", "vit.ui"},
    {"vit.__main__"},
]
TABS = {"vit.ui.train", "vit.ui.own", "vit.ui.attention", "vit.ui.classify", "vit.ui.lesson"}  # none imports another
ABOVE_TABS = {"vit.ui.page"}
ONLY_TORCH = {"vit.model", "vit.cnn", "vit.device", "vit.precision", "vit.data.augment", "vit.data.shapes"}
ONLY_TORCH_ROOMS = {"vit.interpret"}
# ViT.save_pretrained and from_pretrained reach up when they are called: the model's own methods, as everybody expects.
REACHES_UP = {("vit.model", "vit.weights.checkpoint")}

# Imports step by step, as different programs would, and says what has been imported after each step.
STEPS = """
import contextlib, io, json, sys
said = {}
import vit
said["vit"] = list(sys.modules)
from vit.cli import main
with contextlib.redirect_stderr(io.StringIO()):
    main(["predict", "none", "none"])
said["predict"] = list(sys.modules)
import vit.cli.evaluate, vit.cli.train
said["commands"] = list(sys.modules)
import vit.ui.page
said["page"] = list(sys.modules)
from vit.data import cifar10
from vit.live import models, storage
said["folders"] = [str(path) for path in (cifar10.FOLDER, models.CHECKPOINTS, storage.FOLDER)]
print(json.dumps(said))
"""

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "vit").rglob("*.py"))
}


def imported(file: Path) -> set[str]:
    """Full names of all modules that a file imports, inside its functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            # "from vit import data" names a module, "from vit.data import load" what is in one
            submodules = {f"{node.module}.{a.name}" for a in node.names} & MODULES.keys()
            names |= submodules or {node.module}
    return names


def room(module: str) -> str:
    """The folder right below vit that a module lies in, or the module itself."""
    return ".".join(module.split(".")[:2])


def floor(module: str) -> int:
    found = [number for number, rooms in enumerate(FLOORS) if room(module) in rooms]
    assert found, f"{module} is in none of the rooms of this test; say on which floor it belongs"
    return found[0]


def tab(module: str) -> str | None:
    return next((name for name in TABS if module == name or module.startswith(f"{name}.")), None)


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"vit"}))
def test_a_module_imports_from_its_own_room_and_from_floors_below(module):
    floor(module)  # also of a module that imports nothing of ours
    names = imported(MODULES[module])
    ours = {name for name in names if name.split(".")[0] == "vit"} - {"vit"}
    for name in ours:
        if (module, name) not in REACHES_UP:
            assert room(name) == room(module) or floor(name) < floor(module), f"{module} imports {name}"
        if room(module) == "vit.ui" and module not in ABOVE_TABS:
            assert name not in ABOVE_TABS, f"{module} imports {name}"
            assert tab(name) in (None, tab(module)), f"{module} imports {name}: what two tabs share lies in vit.ui"
    if room(module) != "vit.ui":
        assert not any(name.split(".")[0] in ("gradio", "spaces") for name in names - {"spaces"})
        assert "spaces" not in names or module == "vit.live.zerogpu"
    if module in ONLY_TORCH or room(module) in ONLY_TORCH_ROOMS:
        outside = {name.split(".")[0] for name in names - ours} - set(sys.stdlib_module_names)
        assert outside <= {"torch"}


def test_a_module_that_is_on_no_floor_is_refused():
    with pytest.raises(AssertionError, match="attic is in none of the rooms"):
        floor("vit.attic")


def test_the_package_itself_hands_out_model_and_variants_alone():
    assert {room(name) for name in imported(MODULES["vit"])} <= {"vit.cnn", "vit.model", "vit.variants", "vit.weights"}


@pytest.fixture(scope="module")
def imported_after(tmp_path_factory) -> dict[str, set[str]]:
    """What a process has imported after each of STEPS, started elsewhere and without any of our variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VIT_")}
    environment |= {"PYTHONPATH": str(ROOT)}
    command, elsewhere = [sys.executable, "-c", STEPS], tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1), "nothing imported prints anything"
    return {step: set(names) for step, names in json.loads(done.stdout).items()}


def test_importing_the_package_loads_neither_gradio_nor_matplotlib(imported_after):
    assert not {"gradio", "matplotlib", "torchvision", "pyarrow"} & imported_after["vit"]


def test_a_command_loads_no_other(imported_after):
    assert "vit.cli.predict" in imported_after["predict"] and "vit.cli.train" not in imported_after["predict"]


def test_matplotlib_is_not_imported_where_nothing_is_drawn(imported_after):
    assert "vit.cli.train" in imported_after["commands"] and "matplotlib" not in imported_after["commands"]


def test_the_page_starts_without_what_takes_seconds_to_import_and_is_needed_later(imported_after):
    assert "gradio" in imported_after["page"] and not {"matplotlib", "torchvision"} & imported_after["page"]


def test_the_apps_own_folders_do_not_depend_on_where_it_is_started(imported_after):
    expected = {ROOT / "data" / "cifar-10-batches-py", ROOT / "checkpoints", ROOT / "runs" / "page"}
    assert imported_after["folders"] == set(map(str, expected))
