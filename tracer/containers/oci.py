"""Containers of runc and crun, and those podman and CRI-O run by them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tracer.containers.annotations import read_owner
from tracer.containers.found import FoundContainer, is_generated_id
from tracer.containers.paths import OciRoot
from tracer.containers.state_files import (
    PID_MAX,
    Accounts,
    StateDirectory,
    get_list,
    get_number,
    get_object,
    get_strings,
    open_state,
    open_state_of,
)

_LONGEST_PATH = 1024
_PODMAN_STORE_SUFFIX = "-containers"


def find_oci_containers(root: OciRoot, accounts: Accounts) -> list[FoundContainer]:
    """List the containers of one state directory.

    Args:
        root: ``/run/runc``, ``/run/crun``, ``/run/user/1000/crun``, ...
        accounts: What reading it is charged to.

    Returns:
        What is written there; whether it is true of a process of that directory's
        owner is for :mod:`tracer.containers.init_process` to see.

    Source:
        runc ``ROOT/ID/state.json``, crun ``ROOT/ID/status``.
    """
    directory = open_state(root.path, accounts, owner_uid=root.owner_uid)
    if directory is None:
        return []
    found = []
    with directory:
        for name in directory.names():
            state = directory.enter(name)
            if state is None:
                continue
            with state:
                container = _read_runc(root.path, name, state, accounts) or _read_crun(
                    root.path, name, state, accounts
                )
            if container is not None:
                found.append(container)
    return found


def _read_runc(
    root: Path, name: str, directory: StateDirectory, accounts: Accounts
) -> FoundContainer | None:
    state = directory.read_json("state.json")
    if not isinstance(state, dict):
        return None
    labels = get_list(get_object(state, "config"), "labels")
    pairs = [label.partition("=") for label in labels if isinstance(label, str)]
    annotations = {key: value for key, _, value in pairs}
    return _found(
        root,
        name,
        "runc",
        annotations,
        accounts,
        owner_uid=directory.owner_uid,
        bundle=annotations.get("bundle"),
        pid=get_number(state, "init_process_pid", most=PID_MAX),
        start_ticks=get_number(state, "init_process_start"),
    )


def _read_crun(
    root: Path, name: str, directory: StateDirectory, accounts: Accounts
) -> FoundContainer | None:
    status = directory.read_json("status")
    if not isinstance(status, dict):
        return None
    bundle = status.get("bundle")
    config = directory.read_json("config.json")
    if config is None and isinstance(bundle, str):
        config = _read_config(bundle, accounts, directory.owner_uid)
    return _found(
        root,
        name,
        "crun",
        get_strings(get_object(config, "annotations")),
        accounts,
        owner_uid=directory.owner_uid,
        bundle=bundle if isinstance(bundle, str) else None,
        pid=get_number(status, "pid", most=PID_MAX),
        start_ticks=get_number(status, "process-start-time"),
    )


def _read_config(bundle: str, accounts: Accounts, owner_uid: int | None) -> object:
    directory = open_state_of(bundle, accounts, owner_uid)
    if directory is None:
        return None
    with directory:
        return directory.read_json("config.json")


def _found(
    root: Path,
    name: str,
    runtime: str,
    annotations: Mapping[str, str],
    accounts: Accounts,
    *,
    owner_uid: int | None,
    bundle: str | None,
    pid: int | None,
    start_ticks: int | None,
) -> FoundContainer:
    owner = read_owner(annotations)
    address = str(root)
    names = owner.names
    manager = owner.runtime
    if manager == "podman" and (bundle is None or not _is_plain_path(bundle)):
        # podman itself says where its storage is.
        manager = None
    elif manager == "podman" and bundle is not None:
        # STORAGE/overlay-containers/ID/userdata
        store = Path(bundle).parent.parent
        names = _podman_names(store, accounts, owner_uid).get(name, ())
        address = str(store.parent)
    if not names and not is_generated_id(name):
        names = (name,)
    return FoundContainer(
        id=name,
        names=names,
        runtime=manager or runtime,
        engine_address=address,
        state="running" if pid else "stopped",
        init_host_pid=pid,
        init_start_ticks=start_ticks,
        stop_signo=owner.stop_signo,
        stop_timeout_s=owner.stop_timeout_s,
        pod=owner.pod,
        owner_uid=owner_uid,
    )


def _is_plain_path(text: str) -> bool:
    return len(text) <= _LONGEST_PATH and text.startswith("/") and text.isprintable()


def find_stopped_podman(storage: Path, accounts: Accounts) -> list[FoundContainer]:
    """List the containers a podman storage knows; whether they run it does not say.

    Source:
        ``STORAGE/*-containers/containers.json`` (containers/storage).
    """
    directory = open_state(storage, accounts)
    if directory is None:
        return []
    with directory:
        stores = [name for name in directory.names() if name.endswith(_PODMAN_STORE_SUFFIX)]
    return [
        FoundContainer(
            id=container_id,
            names=names,
            runtime="podman",
            engine_address=str(storage),
            state="not running",
            owner_uid=directory.owner_uid,
        )
        for store in stores
        for container_id, names in _podman_names(
            storage / store, accounts, directory.owner_uid
        ).items()
    ]


def _podman_names(
    store: Path, accounts: Accounts, owner_uid: int | None
) -> dict[str, tuple[str, ...]]:
    key = (store, owner_uid)
    if key not in accounts.podman_names:
        accounts.podman_names[key] = _read_podman_names(store, accounts, owner_uid)
    return accounts.podman_names[key]


def _read_podman_names(
    store: Path, accounts: Accounts, owner_uid: int | None
) -> dict[str, tuple[str, ...]]:
    directory = open_state_of(str(store), accounts, owner_uid)
    if directory is None:
        return {}
    with directory:
        listing = directory.read_json("containers.json")
    return {
        entry["id"]: tuple(name for name in get_list(entry, "names") if isinstance(name, str))
        for entry in (listing if isinstance(listing, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    }
