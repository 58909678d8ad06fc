"""Containers of runc and crun, and those podman and CRI-O run by them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracer.containers.annotations import read_owner
from tracer.containers.found import FoundContainer, is_generated_id
from tracer.containers.state_files import (
    get_number,
    get_object,
    get_strings,
    list_directory,
    read_json,
)

_NS_GET_OWNER_UID = 0xB704
"""ioctl of linux/nsfs.h: who made a user namespace."""
_PODMAN_STORE_SUFFIX = "-containers"


def find_oci_containers(root: Path, owner_uid: int = 0) -> list[FoundContainer]:
    """List the containers of one state directory.

    Args:
        root: ``/run/runc``, ``/run/crun``, ``/run/user/1000/crun``, ...
        owner_uid: Whose directory it is. What another user than root writes
            there is believed of that user's own containers only.

    Source:
        runc ``ROOT/ID/state.json``, crun ``ROOT/ID/status``.
    """
    found = []
    for name in list_directory(root):
        container = _read_runc(root, name) or _read_crun(root, name)
        if container is not None and _may_speak_for(owner_uid, container.init_host_pid):
            found.append(container)
    return found


def _read_runc(root: Path, name: str) -> FoundContainer | None:
    state = read_json(root / name / "state.json")
    if not isinstance(state, dict):
        return None
    labels = get_object(state, "config").get("labels")
    pairs = [label.partition("=") for label in labels or () if isinstance(label, str)]
    annotations = {key: value for key, _, value in pairs}
    return _found(
        root,
        name,
        "runc",
        annotations,
        bundle=annotations.get("bundle"),
        pid=get_number(state, "init_process_pid"),
        start_ticks=get_number(state, "init_process_start"),
    )


def _read_crun(root: Path, name: str) -> FoundContainer | None:
    status = read_json(root / name / "status")
    if not isinstance(status, dict):
        return None
    bundle = status.get("bundle")
    config = read_json(root / name / "config.json")
    if config is None and isinstance(bundle, str):
        config = read_json(Path(bundle) / "config.json")
    return _found(
        root,
        name,
        "crun",
        get_strings(get_object(config, "annotations")),
        bundle=bundle if isinstance(bundle, str) else None,
        pid=get_number(status, "pid"),
        start_ticks=get_number(status, "process-start-time"),
    )


def _found(
    root: Path,
    name: str,
    runtime: str,
    annotations: Mapping[str, str],
    *,
    bundle: str | None,
    pid: int | None,
    start_ticks: int | None,
) -> FoundContainer:
    owner = read_owner(annotations)
    address = str(root)
    names = owner.names
    if owner.runtime == "podman" and bundle is not None:
        # STORAGE/overlay-containers/ID/userdata
        store = Path(bundle).parent.parent
        names = _podman_names(store).get(name, ())
        address = str(store.parent)
    if not names and not is_generated_id(name):
        names = (name,)
    return FoundContainer(
        id=name,
        names=names,
        runtime=owner.runtime or runtime,
        engine_address=address,
        state="running" if pid else "stopped",
        init_host_pid=pid,
        init_start_ticks=start_ticks,
        stop_signo=owner.stop_signo,
        stop_timeout_s=owner.stop_timeout_s,
        pod=owner.pod,
    )


def find_stopped_podman(storage: Path) -> list[FoundContainer]:
    """List the containers a podman storage knows; whether they run it does not say.

    Source:
        ``STORAGE/*-containers/containers.json`` (containers/storage).
    """
    return [
        FoundContainer(
            id=container_id,
            names=names,
            runtime="podman",
            engine_address=str(storage),
            state="not running",
        )
        for store in list_directory(storage)
        if store.endswith(_PODMAN_STORE_SUFFIX)
        for container_id, names in _podman_names(storage / store).items()
    ]


def _podman_names(store: Path) -> dict[str, tuple[str, ...]]:
    listing: Any = read_json(store / "containers.json")
    return {
        entry["id"]: tuple(name for name in entry.get("names") or () if isinstance(name, str))
        for entry in (listing if isinstance(listing, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    }


def _may_speak_for(owner_uid: int, pid: int | None) -> bool:
    if owner_uid in (0, os.geteuid()) or pid is None:
        return True
    # A rootless container is in a user namespace which its user made.
    try:
        fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        raw = fcntl.ioctl(fd, _NS_GET_OWNER_UID, b"\0" * 4)
    except OSError:
        return False
    finally:
        os.close(fd)
    return int.from_bytes(raw, "little") == owner_uid
