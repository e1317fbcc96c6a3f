"""How the page's ES modules reach a browser: Gradio runs a script as a function's body, which cannot import."""

import functools
import json
import mimetypes
import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

import gradio as gr

from vit.ui.errors import alert

HERE = Path(__file__).parent

# With a module all that it imports is asked for at once: from import to import they would come one after the other.
# The address of the server's root is Gradio's own, as the page may be served below a path or through a proxy.
LOAD = """Promise.all(%(modules)s.map((module) => {
  const root = new URL(window.gradio_config.root, location.href);
  const origin = root.hostname === location.hostname ? location.origin : root.origin;
  return import(origin + root.pathname.replace(/\\/$/, "") + %(folder)s + module);
})).then(([module]) => module)"""

MOUNT = """%(load)s.then(
  ({ mount }) => mount({ element, props, trigger, server, watch, constants: %(constants)s }),
  () => { element.innerHTML = %(failed)s; },
);"""

IMPORTED = re.compile(r'^(?:import|export)\b[^"]* from "(\.[^"]+)";', re.MULTILINE)
FAILED = "This part of the page could not be loaded. Reload the page."


@functools.cache
def _served() -> tempfile.TemporaryDirectory:
    """A copy of all modules in a folder that holds nothing else, as everything in it can be fetched.

    Its name is new at each start of the server: modules import each other by relative paths, which carry no version,
    and a browser must not mix those that it kept with those of a newer version.
    """
    folder = tempfile.TemporaryDirectory(prefix="vit-live-", ignore_cleanup_errors=True)
    for module in HERE.rglob("*.js"):
        copy = Path(folder.name, module.relative_to(HERE))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(module, copy)
    mimetypes.add_type("text/javascript", ".js")  # Windows may have none for it, and a browser demands one
    gr.set_static_paths(folder.name)
    return folder


def load(module: Path) -> str:
    """JavaScript: the promise of the module that lies in this file. Raises ValueError if there is none."""
    name = module.relative_to(HERE).as_posix()
    if not module.is_file():
        modules = sorted(path.relative_to(HERE).as_posix() for path in HERE.rglob("*.js"))
        raise ValueError(f"There is no script {module}; there are {', '.join(modules)}")
    folder = f"/gradio_api/file={quote(Path(_served().name).resolve().as_posix())}/"
    return LOAD % {"modules": json.dumps(with_imports(name)), "folder": json.dumps(folder)}


@functools.cache
def with_imports(name: str) -> list[str]:
    """The module of this path below HERE, and after it all that it imports, directly or not."""
    asked = [name]
    for module in asked:  # which grows meanwhile
        folder, text = os.path.dirname(module), (HERE / module).read_text(encoding="utf-8")
        imported = (os.path.normpath(os.path.join(folder, path)) for path in IMPORTED.findall(text))
        asked += sorted({Path(path).as_posix() for path in imported} - set(asked))
    return asked


def mount(module: Path, constants: dict) -> str:
    """What a gr.HTML runs to hand itself to a module's function mount.

    constants: what the module is told besides. As a property of the component it could come after the script ran.
    """
    return MOUNT % {"load": load(module), "constants": json.dumps(constants), "failed": json.dumps(alert(FAILED))}
