"""The lines of the package that do what the lesson tells, found in the source as it is."""

import ast
import inspect
from functools import cache
from types import ModuleType
from typing import NamedTuple

from vit import model


class Line(NamedTuple):
    """file: below the repository. place: the function's qualified name. number: of the first line, from 1."""

    file: str
    place: str
    number: int
    text: str


@cache
def line(place: str, *names: str, module: ModuleType = model) -> Line:
    """The first statement of a function that mentions all of these names, as it stands in the file.

    Raises LookupError where there is none: then the lesson has to follow the code.
    """
    source = inspect.getsource(module)
    nodes: list[ast.AST] = [ast.parse(source)]
    for part in place.split("."):
        nodes = [n for node in nodes for n in ast.walk(node) if getattr(n, "name", None) == part]
    for node in nodes:
        for statement in ast.walk(node):
            simple = isinstance(statement, ast.Assign | ast.Return | ast.Expr)
            if simple and set(names) <= _mentioned(statement):
                text = " ".join((ast.get_source_segment(source, statement) or "").split())
                return Line(f"{module.__name__.replace('.', '/')}.py", place, statement.lineno, text)
    raise LookupError(f"No statement of {module.__name__}.{place} mentions {', '.join(names)}.")


def _mentioned(statement: ast.AST) -> set[str]:
    nodes = list(ast.walk(statement))
    names = {n.id for n in nodes if isinstance(n, ast.Name)}
    return names | {n.attr for n in nodes if isinstance(n, ast.Attribute)}
