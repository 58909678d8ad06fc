"""Docker, by its API. The only module that imports the ``docker`` package."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import docker
import requests
from docker.utils import kwargs_from_env

from tracer.containers.annotations import read_labels, read_signal
from tracer.containers.found import FoundContainer
from tracer.containers.state_files import get_number, get_object, get_strings
from tracer.errors import RuntimeUnreachableError, TargetNotFoundError

_TIMEOUT_S = 3
"""An engine that takes longer for a listing does not answer, for a tracer."""
_FOR_EVER_S = 365 * 86400
_DEFAULT_GRACE_S = 10
"""What Docker gives a container that does not say (daemon/stop.go)."""


class DockerEngine:
    """An engine that listens.

    Args:
        address: ``unix:///...`` or ``tcp://...``.
        environ: Where a TLS set-up (``DOCKER_TLS_VERIFY``, ``DOCKER_CERT_PATH``) is
            read from for tcp.

    Raises:
        RuntimeUnreachableError: It does not answer as an engine would.
    """

    def __init__(self, address: str, environ: Mapping[str, str] = os.environ) -> None:
        self.address = address
        options: dict[str, Any] = {"base_url": address}
        with self._asking():
            if not address.startswith("unix://"):
                options |= kwargs_from_env(environment={**environ, "DOCKER_HOST": address})
            self._client = docker.APIClient(version="auto", timeout=_TIMEOUT_S, **options)

    def list_containers(self, *, stopped: bool = False) -> list[FoundContainer]:
        """List the running containers, or all; without what only inspecting tells."""
        with self._asking():
            listing = self._client.containers(all=stopped)
            return [_listed(entry, self.address) for entry in _objects(listing)]

    def inspect(self, container_id: str) -> FoundContainer:
        """Ask for all of one container.

        Args:
            container_id: A full id, as the engine itself gave it.

        Raises:
            TargetNotFoundError: It is gone.
        """
        with self._asking():
            try:
                facts = self._client.inspect_container(container_id)
            except docker.errors.NotFound as error:
                raise TargetNotFoundError(
                    f"container {container_id[:12]} was removed while it was being looked up"
                ) from error
            return _inspected(get_object(facts), self.address)

    def stop(self, container_id: str, grace_s: float | None) -> None:
        """Stop a container as ``docker stop`` does, and return when it is stopped.

        Args:
            container_id: The full id.
            grace_s: Between stop signal and SIGKILL, s, rounded up to whole ones;
                None for what the container or the engine has configured.
        """
        configured = self.inspect(container_id).stop_timeout_s
        waits_s = grace_s if grace_s is not None else (configured or _DEFAULT_GRACE_S)
        # The client waits its own timeout longer than the grace: time for the kill.
        self._client.timeout = _FOR_EVER_S if waits_s < 0 else 60 + math.ceil(waits_s)
        with self._asking():
            try:
                if grace_s is None:
                    self._client.stop(container_id)
                else:
                    self._client.stop(container_id, timeout=math.ceil(grace_s))
            except docker.errors.NotFound as error:
                raise TargetNotFoundError(f"no such container: {container_id[:12]}") from error

    def events(
        self, container_ids: Sequence[str], since_unix_ns: int, until_unix_ns: int
    ) -> list[dict[str, Any]]:
        """List what happened to some containers, as the API tells it.

        Units:
            CLOCK_REALTIME, ns; ``until_unix_ns`` must not lie in the future, as
            the engine would wait for it.
        """
        parameters = {
            "since": _api_time(since_unix_ns),
            "until": _api_time(until_unix_ns),
            "filters": json.dumps({"type": ["container"], "container": list(container_ids)}),
        }
        url = f"{self._client.base_url}/v{self._client.api_version}/events"
        with self._asking():
            # Not client.events(): that one waits for ever on an engine that hangs.
            answer = self._client.get(url, params=parameters, timeout=_TIMEOUT_S)
            answer.raise_for_status()
            return _objects([json.loads(line) for line in answer.text.splitlines() if line])

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (docker.errors.DockerException, requests.RequestException, ValueError) as error:
            raise RuntimeUnreachableError(
                f"the Docker engine at {self.address} does not answer: {error}",
                hint="see whether `docker ps` works; name another one with DOCKER_HOST",
            ) from error


def _objects(listing: Any) -> list[dict[str, Any]]:
    if not isinstance(listing, list) or not all(isinstance(one, dict) for one in listing):
        raise ValueError("it answers, but not as a Docker engine would")
    return listing


def _listed(entry: Mapping[str, Any], address: str) -> FoundContainer:
    owner = read_labels(get_strings(entry.get("Labels")))
    # Linked containers have names of the form /other/alias as well.
    names = [str(name).removeprefix("/") for name in entry.get("Names") or ()]
    return FoundContainer(
        id=str(entry.get("Id")),
        names=(*owner.names, *(name for name in names if "/" not in name)),
        runtime="docker",
        engine_address=address,
        state=str(entry.get("State") or "running"),
        pod=owner.pod,
    )


def _inspected(facts: Mapping[str, Any], address: str) -> FoundContainer:
    state, config = get_object(facts, "State"), get_object(facts, "Config")
    owner = read_labels(get_strings(config.get("Labels")))
    timeout, started = config.get("StopTimeout"), state.get("StartedAt")
    return FoundContainer(
        id=str(facts.get("Id")),
        names=(*owner.names, str(facts.get("Name")).removeprefix("/")),
        runtime="docker",
        engine_address=address,
        state=str(state.get("Status") or "unknown"),
        init_host_pid=get_number(state, "Pid"),
        started_unix_s=_unix_s(started) if isinstance(started, str) else None,
        stop_signo=read_signal(get_strings(config).get("StopSignal")),
        stop_timeout_s=float(timeout) if type(timeout) is int else None,
        pod=owner.pod,
    )


def _unix_s(text: str) -> float | None:
    # RFC 3339 with up to nine decimals; a container never started has year 1.
    if text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _api_time(unix_ns: int) -> str:
    return f"{unix_ns // 1_000_000_000}.{unix_ns % 1_000_000_000:09d}"
