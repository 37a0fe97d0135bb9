"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable

from imgcluster.engines.local import LocalEngine
from imgcluster.engines.process import ProcessEngine
from imgcluster.engines.protocol import Engine, EngineSettings
from imgcluster.errors import UsageError


def _ray(settings: EngineSettings) -> Engine:
    from imgcluster.engines.ray import RayEngine

    return RayEngine(**vars(settings))


_ENGINES: dict[str, Callable[[EngineSettings], Engine]] = {
    "local": lambda _: LocalEngine(),
    "process": lambda _: ProcessEngine(),
    "ray": _ray,
}


def register_engine(name: str, make: Callable[[], Engine]) -> None:
    """Add an engine, or replace the one of that name."""
    _ENGINES[name] = lambda _: make()


def find_engine(name: str | Engine, settings: EngineSettings | None = None) -> Engine:
    """Make the engine of a name; one that is made already is given back. UsageError where there is none."""
    if not isinstance(name, str):
        return name
    if name not in _ENGINES:
        raise UsageError(f"there is no engine {name}: choose one of {', '.join(sorted(_ENGINES))}")
    return _ENGINES[name](settings or EngineSettings())
