"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from imgcluster.engines.local import LocalEngine
from imgcluster.engines.process import ProcessEngine
from imgcluster.engines.protocol import Engine
from imgcluster.engines.ray import RayEngine
from imgcluster.errors import UsageError


@dataclass(frozen=True)
class EngineSettings:
    """What may be said about an engine whose workers are elsewhere; None: as the engine thinks best."""

    address: str | None = None
    workers: int | None = None
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0


def _ray(settings: EngineSettings) -> Engine:
    return RayEngine(settings.address, settings.workers, settings.cpus_per_worker, settings.gpus_per_worker)


_ENGINES: dict[str, Callable[[EngineSettings], Engine]] = {
    "local": lambda _: LocalEngine(),
    "process": lambda _: ProcessEngine(),
    "ray": _ray,
}


def register_engine(name: str, make: Callable[[], Engine]) -> None:
    """Add an engine, or replace the one of that name."""
    _ENGINES[name] = lambda _: make()


def find_engine(name: str | Engine, settings: EngineSettings | None = None) -> Engine:
    """Make the engine of a name; one that is made already is given back.

    Raises
    ------
    UsageError
        There is none.
    MissingExtra
        Its library is not installed.
    """
    if not isinstance(name, str):
        return name
    if name not in _ENGINES:
        raise UsageError(f"there is no engine {name}: choose one of {', '.join(sorted(_ENGINES))}")
    return _ENGINES[name](settings or EngineSettings())
