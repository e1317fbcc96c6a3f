"""One check of what comes from outside: programs and forged calls send anything, whatever a function's types say."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any, get_type_hints

import gradio as gr
from pydantic import ConfigDict, TypeAdapter, ValidationError

from vit.ui.errors import BadInput

SHORT = 60  # characters of what came
STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "an object of names and values",
    "list_type": "a list",
    "too_short": "a longer list",
    "too_long": "a shorter list",
}


def check(name: str, value: Any, kind: Any) -> Any:
    """The value, if it is of a type, without converting it. Raises BadInput: the field, what came, what is expected."""
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        field = name + "".join(f"[{place!r}]" for place in wrong["loc"] if isinstance(place, int))
        expected = EXPECTED.get(wrong["type"], "another value")
        raise BadInput(
            f"{field} must be {expected}, got {shortened(wrong['input'])}; send {expected} as {name}."
        ) from error


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number from low to high, be it 3.0. Raises BadInput."""
    number = check(name, value, float)
    if not (number.is_integer() and low <= number <= high):
        raise BadInput(
            f"{name} must be a whole number from {low} to {high}, got {shortened(value)}; choose one of them."
        )
    return int(number)


def one_of(name: str, value: Any, choices: Collection[str]) -> str:
    """One of some texts. Raises BadInput."""
    if not isinstance(value, str) or value not in choices:
        raise BadInput(f"{name} must be one of {', '.join(choices)}, got {shortened(value)}; choose one of them.")
    return value


def checked(function: Callable) -> Callable:
    """The function, which refuses arguments that aren't of its annotated types; what Gradio itself fills in passes."""
    hints = get_type_hints(function)
    kinds = {name: kind for name, kind in hints.items() if name != "return" and not _of_gradio(kind)}
    signature = inspect.signature(function)

    def sound(args: tuple, kwargs: dict) -> inspect.BoundArguments:
        bound = signature.bind(*args, **kwargs)
        for name in kinds.keys() & bound.arguments.keys():
            bound.arguments[name] = check(name, bound.arguments[name], kinds[name])
        return bound

    if inspect.isasyncgenfunction(function):

        async def call(*args, **kwargs):
            bound = sound(args, kwargs)
            async for value in function(*bound.args, **bound.kwargs):
                yield value

    elif inspect.isgeneratorfunction(function):

        def call(*args, **kwargs):
            bound = sound(args, kwargs)
            yield from function(*bound.args, **bound.kwargs)

    else:

        def call(*args, **kwargs):
            bound = sound(args, kwargs)
            return function(*bound.args, **bound.kwargs)

    return functools.wraps(function)(call)


def shortened(value: Any) -> str:
    """What came, as a program would write it, not longer than a sentence bears."""
    if isinstance(value, int) and abs(value) > 10**SHORT:
        return "a huge whole number"  # Python refuses to write those of more than 4,300 digits
    try:
        text = repr(value)
    except ValueError:
        text = f"a {type(value).__name__} with a huge number in it"
    return text if len(text) <= SHORT else text[: SHORT - 2] + " …"


@functools.cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind, config=STRICT)


def _of_gradio(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, (gr.EventData, gr.Request))
