"""The tasks, a folder each; they do not import each other."""

from recurra.task.registry import register_places

__all__ = ["TASKS"]

TASKS = {
    "forecast": "recurra.tasks.forecast.forecaster:Forecaster",
    "translate": "recurra.tasks.translate.translator:Translator",
}

register_places(TASKS)
