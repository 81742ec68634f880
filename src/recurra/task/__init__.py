"""What every task shares: the estimator's control flow, the run folder, results, and the registry.

Names load on first use: a task's declaration, and with it the command line's help, needs no torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.task.budget import with_budget
    from recurra.task.estimator import Estimator
    from recurra.task.fitted import Fitted
    from recurra.task.learned import Learned
    from recurra.task.objective import Objective
    from recurra.task.registry import find_task, load, register_tasks, task, task_names, task_of_run
    from recurra.task.results import Evaluation, Predictions, Result
    from recurra.task.runs import Run, Runs, runs_in
    from recurra.task.verbs import verb
    from recurra.task.view import View

__all__ = [
    "Estimator",
    "Evaluation",
    "Fitted",
    "Learned",
    "Objective",
    "Predictions",
    "Result",
    "Run",
    "Runs",
    "View",
    "find_task",
    "load",
    "register_tasks",
    "runs_in",
    "task",
    "task_names",
    "task_of_run",
    "verb",
    "with_budget",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.task.budget": ("with_budget",),
        "recurra.task.estimator": ("Estimator",),
        "recurra.task.fitted": ("Fitted",),
        "recurra.task.learned": ("Learned",),
        "recurra.task.objective": ("Objective",),
        "recurra.task.registry": ("find_task", "load", "register_tasks", "task", "task_names", "task_of_run"),
        "recurra.task.results": ("Evaluation", "Predictions", "Result"),
        "recurra.task.runs": ("Run", "Runs", "runs_in"),
        "recurra.task.verbs": ("verb",),
        "recurra.task.view": ("View",),
    },
)
