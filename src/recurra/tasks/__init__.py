"""The tasks, a folder each; they do not import each other."""

from recurra.task.registry import register_places

register_places({"translate": "recurra.tasks.translate.translator:Translator"})
