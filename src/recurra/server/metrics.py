"""What Prometheus reads at /metrics."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The figures of one server.

    Args:
        waiting: by model, how many steps wait now.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, waiting: Callable[[], dict[str, int]]) -> None:
        self._registry, self._waiting_of = CollectorRegistry(), waiting
        self._steps = self._histogram("recurra_step_seconds", "From a step's arrival to its answer", "model")
        self._of_model: dict[str, Histogram] = {}
        self._predictions = self._histogram("recurra_predict_seconds", "Of predictions for whole inputs", "model")
        self._requests = Counter(
            "recurra_requests", "Requests answered, by route and status", ["route", "status"], registry=self._registry
        )
        self._refused = Counter("recurra_refusals", "Requests refused, by code", ["code"], registry=self._registry)
        self._batches = Histogram(
            "recurra_batch_steps", "Steps run together", ["model"], buckets=_BATCHES, registry=self._registry
        )
        self._sessions = Gauge("recurra_sessions", "Sessions stored", registry=self._registry)
        self._sockets = Gauge("recurra_websockets", "WebSockets open", registry=self._registry)
        self._waiting = Gauge("recurra_waiting_steps", "Steps that wait or run", ["model"], registry=self._registry)

    def step(self, model: str, seconds: float) -> None:
        """A step was answered."""
        if model not in self._of_model:
            self._of_model[model] = self._steps.labels(model)
        self._of_model[model].observe(seconds)

    def prediction(self, model: str, seconds: float) -> None:
        """A prediction for a whole input was answered."""
        self._predictions.labels(model).observe(seconds)

    def batch(self, model: str, size: int) -> None:
        """A batch of steps is run."""
        self._batches.labels(model).observe(size)

    def request(self, route: str, status: int) -> None:
        """A request of HTTP was answered."""
        self._requests.labels(route, str(status)).inc()

    def refusal(self, code: str) -> None:
        """A request was refused."""
        self._refused.labels(code).inc()

    def socket(self, change: int) -> None:
        """A WebSocket was opened (1) or closed (-1)."""
        self._sockets.inc(change)

    def text(self, sessions: int) -> bytes:
        """All figures, in Prometheus's format.

        Args:
            sessions: stored now.
        """
        self._sessions.set(sessions)
        for model, count in self._waiting_of().items():
            self._waiting.labels(model).set(count)
        return generate_latest(self._registry)

    def _histogram(self, name: str, words: str, label: str) -> Histogram:
        return Histogram(name, words, [label], buckets=_SECONDS, registry=self._registry)
