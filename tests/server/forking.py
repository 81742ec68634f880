"""A program that serves a run in a child process, and at each line of standard input kills it with SIGKILL and starts
another: models are loaded once, in the parent."""

import os
import signal
import sys

from recurra.server.app import create_app
from recurra.server.options import ServerOptions
from recurra.server.run import configuration, run_server
from recurra.server.served_model import load_models
from recurra.server.service import open_store


def main(run: str, port: str, store: str) -> None:
    models, options = load_models([run]), ServerOptions(port=int(port), store=store)
    # What is imported on first use is imported here, once.
    unused = open_store(store, 60)
    configuration(create_app(models, unused, options), options).load()
    unused.close()
    child = 0
    for _ in sys.stdin:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        child = os.fork()
        if not child:
            run_server(models, options)
            os._exit(0)
        print("started", flush=True)
    if child:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
