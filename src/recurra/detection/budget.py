"""A budget of false alarms as a person says it, such as "1 a week", as a probability a step."""

import re

from recurra.errors import ParameterError

__all__ = ["probability_of_budget"]

_SECONDS = {
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86_400.0,
    "week": 7 * 86_400.0,
    "month": 365.25 / 12 * 86_400.0,
    "quarter": 365.25 / 4 * 86_400.0,
    "year": 365.25 * 86_400.0,
}
_SHORT = {"s": "second", "min": "minute", "h": "hour", "d": "day", "w": "week"}
_TIMES = {"once": 1.0, "one": 1.0, "twice": 2.0, "a": 1.0, "an": 1.0}
_NUMBER = r"(?:[1-9]\d{0,2}(?:[,_]\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+"
_BUDGET = re.compile(
    rf"(?P<count>{_NUMBER}|once|one|twice|an?)(?: (?:false )?(?:alarms?|times?))?"
    rf"(?P<way> ?/ ?| (?:an?|per|each|every|in|of|out of) )(?:(?P<size>{_NUMBER}) ?)?"
    r"(?P<unit>[a-z]+?)?s?(?: steps?| rows?)?"
)
_EXAMPLES = "a budget of false alarms such as '1 a week', '2 per day', '1 every 3 months', '1 in 10000' or '0.0001'"
_MOST = 0.25


def probability_of_budget(text: str | float, step: float | None = None) -> float:
    """The probability a step of a false alarm that keeps to a budget.

    Args:
        text: a count of alarms and a time, "1 a week" or "2 per 12 hours"; a count and a number of steps, "1 in 10000";
            or the probability. Months and years are mean ones.
        step: the seconds between scores. None: they have no time, and a budget by time is refused.

    Returns:
        The probability, above 0 and at most 0.25.

    Raises:
        ParameterError: the text is not a budget, it needs `step`, `step` is not positive, or the budget is so high that
            more than one step of four is an alarm.
    """
    stated = str(text).strip().lower()
    if step is not None and not step > 0:
        raise ParameterError("step", "a positive number of seconds, or None", step)
    if re.fullmatch(_NUMBER, stated):
        return _checked(_number(stated), text, "Say how often a false alarm may come, such as '1 a week'.")
    match = _BUDGET.fullmatch(stated)
    if match is None:
        raise ParameterError("budget", _EXAMPLES, text)
    size = _number(match["size"]) if match["size"] else 1.0
    unit = match["unit"] or ""
    unit = _SHORT.get(unit, unit)
    if size <= 0:
        raise ParameterError("budget", _EXAMPLES, text, "The time or the number of steps is 0.")
    count = _number(match["count"])
    if unit in ("", "step", "row") and (match["size"] or unit):
        return _checked(count / size, text, "Allow fewer alarms, or more steps for them.")
    if unit not in _SECONDS:
        units = ", ".join(_SECONDS)
        raise ParameterError("budget", _EXAMPLES, text, f"The units are {units} and step.")
    if step is None:
        raise ParameterError(
            "budget",
            "a number of steps, such as '1 in 10000'",
            text,
            "The data have no dates, so the length of a step is unknown.",
        )
    hint = f"A step takes {step:g} seconds; allow fewer alarms."
    return _checked(count * step / (size * _SECONDS[unit]), text, hint)


def _number(text: str) -> float:
    return _TIMES[text] if text in _TIMES else float(re.sub("[,_]", "", text))


def _checked(probability: float, text: str | float, hint: str) -> float:
    if not 0 < probability <= _MOST:
        expected = f"more than no false alarm, and one at most every {1 / _MOST:g} steps"
        raise ParameterError("budget", expected, text, f"That is {probability:g} a step. {hint}")
    return probability
