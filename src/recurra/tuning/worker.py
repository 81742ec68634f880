"""A process that trains trials: it reads the search from its standard input, and ends with that."""

import json
import logging
import os
import pickle
import sys
import threading
import traceback

from recurra.errors import RecurraError

__all__ = ["DONE", "INTERRUPTED", "REFUSED", "main"]

DONE, REFUSED, INTERRUPTED = 0, 2, 130


def main() -> int:
    """Train trials until none is left. Standard output has the number of each, or what ends the whole search."""
    worker = sys.argv[1]
    source = sys.stdin.buffer
    search = pickle.load(source)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.getLogger("recurra").setLevel(logging.ERROR)
    from recurra.tuning.storage import require_optuna

    require_optuna()
    from recurra.training import TrainingInterruptedError
    from recurra.tuning.trial import run_trials
    from recurra.tuning.trials import Trials

    try:
        for number in run_trials(search, Trials(search), worker):
            print(json.dumps({"trial": number}), flush=True)
    except (TrainingInterruptedError, KeyboardInterrupt):
        return INTERRUPTED
    except RecurraError as error:
        print(json.dumps({"error": str(error), "kind": type(error).__name__}), flush=True)
        return REFUSED
    except Exception as error:
        traceback.print_exc()
        print(json.dumps({"error": f"{type(error).__name__}: {error}", "kind": "RunError"}), flush=True)
        return REFUSED
    return DONE


def _end_with_parent() -> None:
    """The other end of standard input closes when the parent ends, however it does; the trial can be continued."""
    while os.read(0, 1):
        pass
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
