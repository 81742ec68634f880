"""The tasks, a folder each; they do not import each other."""

from recurra.task.registry import register_places

__all__ = ["TASKS"]

TASKS = {
    "translate": "recurra.tasks.translate.translator:Translator",
}

register_places(TASKS)
