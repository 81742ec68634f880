"""A program that serves a run in a child process, and at each line of standard input kills it with SIGKILL and starts
another: models are loaded once, in the parent."""

import os
import signal
import sys

from recurra.server.options import ServerOptions
from recurra.server.run import run_server
from recurra.server.served_model import load_models


def main(run: str, port: str, store: str) -> None:
    models = load_models([run])
    child = 0
    for _ in sys.stdin:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        child = os.fork()
        if not child:
            run_server(models, ServerOptions(port=int(port), store=store))
            os._exit(0)
        print("started", flush=True)
    if child:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
