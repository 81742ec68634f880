"""OpenMP's threads wait briefly: they do not spin while another process needs the core.

The threads of GNU OpenMP, which torch uses on Linux, spin for milliseconds at each barrier. Alone on the cores that
costs nothing; beside other work, each spin delays the thread that all wait for, and training takes several times as
long. The library reads how long to spin from the environment once, when it is loaded.
"""

import ctypes
import logging
import os
import sys
import threading

__all__ = ["torch_openmp", "wait_briefly", "waiting"]

_SPINS = "1000"  # about a microsecond; what the library itself chooses where there are more threads than cores
_CHOSEN_BY_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
_waiting = "as OpenMP does by default"


def waiting() -> str:
    """How OpenMP's threads wait in this process, in words for `recurra info`."""
    return _waiting


def wait_briefly() -> None:
    """Have OpenMP's threads wait briefly, unless `OMP_WAIT_POLICY` or `GOMP_SPINCOUNT` says how they wait.

    Before `import torch` loads the library, a variable of the
    environment is enough. Afterwards, idle threads are added until the library counts more threads than processors,
    because it then spins as briefly by itself (`gomp_throttled_spin_count_var` in libgomp). They sleep until the
    process ends.
    """
    global _waiting
    if any(name in os.environ for name in _CHOSEN_BY_USER):
        _waiting = "as the environment says"
        return
    if sys.platform != "linux":
        return
    os.environ["GOMP_SPINCOUNT"] = _SPINS
    if "torch._C" in sys.modules:
        library = torch_openmp()
        if library is None:
            logging.getLogger("recurra").info(
                "OpenMP's threads may spin while other processes need the cores: import recurra before torch, or set "
                "GOMP_SPINCOUNT=1000"
            )
            return
        try:
            _add_idle_threads(library)
        except RuntimeError:  # the system has no more threads
            return
    _waiting = "briefly"


def torch_openmp() -> ctypes.CDLL | None:
    """The GNU OpenMP library that torch uses, once it has been imported; None if it uses another."""
    try:
        # A name is looked up in torch's library and then in those it is linked against: its runtime, no other's.
        linked = ctypes.CDLL(str(sys.modules["torch._C"].__file__))
        linked.GOMP_parallel  # noqa: B018 - raises if there is none
    except (OSError, AttributeError):
        return None
    return linked


def _add_idle_threads(library: ctypes.CDLL) -> None:
    count = max(2, len(os.sched_getaffinity(0)) - library.omp_get_max_threads() + 2)
    started = threading.Event()
    # The body of the parallel region is free(NULL), which does nothing and needs no interpreter.
    nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)

    def hold() -> None:
        try:
            library.GOMP_parallel(nothing, None, ctypes.c_uint(count), ctypes.c_uint(0))
        finally:
            started.set()
        threading.Event().wait()  # the threads belong to this one, and end with it

    threading.Thread(target=hold, name="recurra-openmp", daemon=True).start()
    started.wait()
