"""What a setting may be, the one check that every setting passes, and how the command line says it."""

import math
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

LARGEST = 10**300  # in size; what is larger is not said digit by digit


class WrongSetting(ValueError):
    """A setting that cannot work; field names it, the message says what came and what was expected."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Setting:
    """kind: bool, int, float or str. help: a few words. low, high: bounds, excluded where above or below says so.

    choices: the only values there are. optional: whether None is one. advice: what to do about a wrong value.
    flag: as the command line spells it, where the name alone doesn't say. former: spellings that still work.
    """

    kind: type
    help: str
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False
    choices: tuple = ()
    optional: bool = False
    advice: str = ""
    flag: str = ""
    former: tuple[str, ...] = ()

    def check(self, name: str, value: Any, label: str | None = None) -> Any:
        """The value, a whole number as an int. Raises WrongSetting, which calls it label, on any other object."""
        if value is None and self.optional:
            return None
        if self._fits(value):
            return int(value) if self.kind is int else value
        label, advice = label or name, f"; {self.advice}" if self.advice else ""
        if value is None:
            raise WrongSetting(name, f"{label} is empty; it must be {self.expected}{advice}.")
        raise WrongSetting(name, f"{label} must be {self.expected}, got {_said(value)}{advice}.")

    def _fits(self, value: object) -> bool:
        if self.kind in (bool, str):
            return type(value) is self.kind and (not self.choices or value in self.choices)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        if not -LARGEST < value < LARGEST or (self.kind is int and value != int(value)):  # so are NaN and infinity
            return False
        inside = value >= self.low and value <= self.high
        return (
            inside
            and not (self.above and value == self.low)
            and not (self.below and value == self.high)
            and (not self.choices or value in self.choices)
        )

    @property
    def expected(self) -> str:
        """What it must be, in words."""
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        if self.kind in (bool, str):
            return "true or false" if self.kind is bool else "a text"
        number = "whole number" if self.kind is int else "number"
        low, high = (f"{bound:,}" if isinstance(bound, int) else f"{bound:g}" for bound in (self.low, self.high))
        if math.isinf(self.high):
            return f"a positive {number}" if self.above else f"a {number}, {low} or more"
        if self.above:
            return f"a {'positive ' if self.low == 0 else ''}{number}, at most {high}"
        return f"a {number}, at least {low} and below {high}" if self.below else f"a {number} from {low} to {high}"

    def spelled(self, name: str) -> str:
        """The flag for the field of that name."""
        return self.flag or f"--{name.replace('_', '-')}"

    def words(self, name: str, value: object) -> list[str]:
        """The flag and its value; a switch has none, but is turned off by --no- before its name."""
        if self.kind is bool:
            return [self.spelled(name) if value else self.spelled(name).replace("--", "--no-", 1)]
        short_form = f"{value:g}" if self.kind is float else ""
        return [self.spelled(name), short_form if short_form and float(short_form) == value else f"{value}"]


def _said(value: object) -> str:
    if isinstance(value, int) and abs(value) >= LARGEST:
        return f"a number of more than {len(str(LARGEST)) - 1} digits"
    return short(value)
