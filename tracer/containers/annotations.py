"""Whose an OCI container is: read from the annotations its manager left on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tracer.model.signals import parse_signal

_CONTAINERD_CRI = "io.kubernetes.cri."
_KUBERNETES = "io.kubernetes."


@dataclass(frozen=True, slots=True)
class Owner:
    """What annotations say of a container.

    Args:
        runtime: ``cri``, ``podman``, ``containerd`` (nerdctl), or None: unknown.
        names: What people may call it.
        pod: Kubernetes namespace/name, or None.
        stop_signo: The configured stop signal, or None.
        stop_timeout_s: The grace by default, s, or None.
    """

    runtime: str | None
    names: tuple[str, ...] = ()
    pod: str | None = None
    stop_signo: int | None = None
    stop_timeout_s: float | None = None


def read_owner(annotations: Mapping[str, str]) -> Owner:
    """Find out which runtime's container this is.

    Source:
        containerd's CRI plugin (``io.kubernetes.cri.*``), CRI-O and podman
        (``io.container.manager``), nerdctl (``nerdctl/*``), the OCI image
        specification's ``org.opencontainers.image.stopSignal``.
    """
    manager = annotations.get("io.container.manager")
    stop_signo = read_signal(annotations.get("org.opencontainers.image.stopSignal"))
    if f"{_CONTAINERD_CRI}container-type" in annotations:
        return _kubernetes(
            annotations,
            kind=f"{_CONTAINERD_CRI}container-type",
            name=f"{_CONTAINERD_CRI}container-name",
            pod=(f"{_CONTAINERD_CRI}sandbox-namespace", f"{_CONTAINERD_CRI}sandbox-name"),
            stop_signo=stop_signo,
        )
    if manager == "cri-o":
        return _kubernetes(
            annotations,
            kind="io.kubernetes.cri-o.ContainerType",
            name=f"{_KUBERNETES}container.name",
            pod=(f"{_KUBERNETES}pod.namespace", f"{_KUBERNETES}pod.name"),
            stop_signo=stop_signo,
        )
    if manager == "libpod":
        return Owner("podman", stop_signo=stop_signo)
    if "nerdctl/name" in annotations or "nerdctl/namespace" in annotations:
        name = annotations.get("nerdctl/name")
        return Owner(
            "containerd",
            names=(name,) if name else (),
            stop_signo=stop_signo
            or read_signal(annotations.get("io.containerd.image.config.stop-signal")),
            stop_timeout_s=_seconds(annotations.get("nerdctl/stop-timeout")),
        )
    return Owner(None, stop_signo=stop_signo)


def read_labels(labels: Mapping[str, str]) -> Owner:
    """Find out the same from a Docker container's labels, which cri-dockerd and dockershim set."""
    if f"{_KUBERNETES}docker.type" not in labels:
        return Owner(None)
    return _kubernetes(
        labels,
        kind=f"{_KUBERNETES}docker.type",
        name=f"{_KUBERNETES}container.name",
        pod=(f"{_KUBERNETES}pod.namespace", f"{_KUBERNETES}pod.name"),
        stop_signo=None,
    )


def _kubernetes(
    annotations: Mapping[str, str],
    *,
    kind: str,
    name: str,
    pod: tuple[str, str],
    stop_signo: int | None,
) -> Owner:
    namespace, pod_name = (annotations.get(key) for key in pod)
    # A pod's sandbox gets no container name, or each pod would have two.
    is_sandbox = annotations.get(kind) in ("sandbox", "podsandbox")
    container_name = annotations.get(name)
    return Owner(
        "cri",
        names=(container_name,) if container_name and not is_sandbox else (),
        pod=f"{namespace}/{pod_name}" if namespace and pod_name else None,
        stop_signo=stop_signo,
    )


def read_signal(text: str | None) -> int | None:
    """Read a configured signal; None where there is none, or none that exists."""
    if not text:
        return None
    try:
        return parse_signal(text)
    except ValueError:
        return None


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None
