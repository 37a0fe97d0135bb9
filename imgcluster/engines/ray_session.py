"""A connection to a Ray cluster, or a Ray of this machine that nobody else reaches."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import signal
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

from imgcluster import machine
from imgcluster.engines.protocol import EngineSettings
from imgcluster.errors import ImgclusterError

_OBJECT_STORE_BYTES = 100 << 20
"""Rows go through it, a few hundred kilobytes at a time, never pictures."""
_OURS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # without a cluster, all of it listens on 127.0.0.1
    "RAY_AUTH_MODE": "token",  # and answers nobody but us
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # it would send the working folder round
}


@contextlib.contextmanager
def connected(engine: EngineSettings) -> Iterator[Any]:
    """Give Ray, connected; what was started for it is ended again.

    Raises
    ------
    ImgclusterError
        Where there is none at the address, or it cannot be started for this machine alone.
    """
    with contextlib.ExitStack() as stack:
        if engine.address is None:
            stack.enter_context(_environment(_OURS | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}))
        import ray

        if ray.is_initialized():  # by whoever called us: that is theirs to end
            yield ray
            return
        # Ray has workers import from its caller's working folder: that shall be an empty one. Sockets lie in
        # it, and their paths may have no more than 107 bytes.
        place = "/tmp" if os.path.isdir("/tmp") else None  # noqa: S108
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="imgcluster-", dir=place, ignore_cleanup_errors=True)
        )
        try:
            with contextlib.chdir(folder), _signals_kept():
                _start(ray, engine, folder)
        except Exception as error:  # Ray raises plain ones too, where a node does not start in time
            where = f"a Ray cluster at {engine.address}" if engine.address else "Ray"
            first, *_ = (str(error).strip() or repr(error)).splitlines()
            raise ImgclusterError(f"cannot use {where}: {first}") from error
        stack.callback(ray.shutdown)
        addresses = {node["NodeManagerAddress"] for node in ray.nodes()}
        if engine.address is None and addresses != {"127.0.0.1"}:
            raise ImgclusterError("Ray would listen on the network: import imgcluster before ray")
        # Its messages go to stdout, and there is no other switch.
        messages, switch = importlib.import_module("ray._private.worker"), "_worker_logs_enabled"
        stack.callback(setattr, messages, switch, getattr(messages, switch, None))
        setattr(messages, switch, None)
        yield ray


def _start(ray: Any, engine: EngineSettings, folder: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": "critical"}
    if engine.address is not None:
        ray.init(engine.address, **quiet)
        return
    cpus = engine.cpus_per_worker
    count = engine.workers or max(machine.cores() // max(cpus, 1), 1)
    ray.init(
        "local",
        num_cpus=max(count * cpus, 1),
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        _node_ip_address="127.0.0.1",
        _temp_dir=folder,
        **quiet,
    )


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back what SIGTERM did: Ray has it end the process."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
