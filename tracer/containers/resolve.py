"""From what people call a container to the container."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tracer.containers.access import lacks
from tracer.containers.found import FoundContainer, UnreachableEngine, is_sayable
from tracer.containers.init_process import read_container
from tracer.containers.paths import RuntimePaths
from tracer.containers.survey import Survey
from tracer.errors import (
    AmbiguousTargetError,
    PrivilegeError,
    RuntimeUnreachableError,
    TargetNotFoundError,
    UsageError,
    ZomtraceError,
)
from tracer.model.rights import READ_STATE
from tracer.model.target import Container

MIN_PREFIX = 3
"""A shorter prefix of an id finds nothing: a mistyped name would too often."""
_LISTED = 5


def resolve_containers(
    names: Sequence[str],
    paths: RuntimePaths | None = None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> tuple[Container, ...]:
    """Find running containers by id, unambiguous prefix of an id, or name.

    An exact id goes before an exact name, that before a prefix. Every runtime on
    the host is asked; a container that several of them know is found once, as
    the highest level's.

    Root's containers (and our own) go before those of other users, whatever these
    call theirs: another user's is chosen only where nothing of root's answers.

    Args:
        names: What the user calls them. Never used as a path.
        paths: Where to look; this host's conventions unless given.
        on_notice: Gets a message about what else answers to a name and is not meant.

    Returns:
        The containers, in the order asked for, each once.

    Raises:
        UsageError: Such a name no container can have.
        TargetNotFoundError: There is no such container, or it does not run.
        AmbiguousTargetError: Several answer to the name.
        RuntimeUnreachableError: Not found, but an engine could not be asked.
        PrivilegeError: We may not look at the container's init, or not found and
            a runtime's state is kept from us.
    """
    for name in names:
        _check_name(name)
    survey = Survey(paths or RuntimePaths.of_host())
    chosen: dict[tuple[int | None, str], FoundContainer] = {}
    for name in names:
        found = _choose(name, survey, on_notice)
        chosen.setdefault((found.owner_uid, found.id), found)
    return tuple(read_container(survey.complete(found)) for found in chosen.values())


def find_again(gone: Container, paths: RuntimePaths | None = None) -> Container | None:
    """Find the next run of a container that has ended.

    Only containers of the same owner are candidates: what another user calls theirs
    neither is this one nor makes its name ambiguous.

    Args:
        gone: The container, as it ran.
        paths: See :func:`resolve_containers`.

    Returns:
        None while it does not run again.

    Raises:
        ZomtraceError: A runtime does not answer, or we may not look.
    """
    survey = Survey(paths or RuntimePaths.of_host())
    candidates = [one for one in survey.running if one.owner_uid == gone.owner_uid]
    # A name may have been given to a new container; an id never is.
    for name in dict.fromkeys((gone.name, gone.id)):
        matches = _match_within(name, candidates) if name is not None else []
        if len(matches) == 1:
            container = read_container(survey.complete(matches[0]))
            if not gone.is_init(container.init_key):
                return container
    return None


def running_containers(paths: RuntimePaths | None = None) -> tuple[Container, ...]:
    """List every running container of every runtime that can be asked."""
    survey = Survey(paths or RuntimePaths.of_host())
    containers: dict[str, Container] = {}
    for found in survey.running:
        # Root's come first: an id that root's runtimes gave out stays theirs.
        if found.id in containers:
            continue
        try:
            containers[found.id] = read_container(survey.complete(found))
        except (TargetNotFoundError, RuntimeUnreachableError, PrivilegeError):
            # It ended meanwhile, its engine did, or it is not for us to see.
            continue
    return tuple(containers.values())


def _choose(name: str, survey: Survey, on_notice: Callable[[str], None]) -> FoundContainer:
    """Pick the one running container that answers to a name."""
    matches = _match(name, survey.running)
    if not matches:
        raise _not_found(name, survey)
    if len(matches) > 1:
        raise AmbiguousTargetError(
            f"{len(matches)} containers match {name!r}: {_enumerate(matches)}",
            hint="give more of the id, or trace the one you mean with --pidns",
        )
    chosen = matches[0]
    if chosen.owner_uid is None:
        rivals = _match(name, [one for one in survey.running if one.owner_uid is not None])
        if rivals:
            on_notice(
                f"{name} is {chosen.label}; also matching, but not chosen: {_enumerate(rivals)}"
            )
    elif roots := _unreachable_roots(survey):
        # It may be root's that is meant, and not be listed only because the host is busy.
        raise RuntimeUnreachableError(
            f"{name} may be {chosen.label}, but one of root's engines could not be queried:"
            f" {'; '.join(one.label for one in roots)}",
            hint=roots[0].hint or "try again; or trace the one you mean with --pidns",
        )
    else:
        on_notice(f"{name} is {chosen.label}: information about it comes from that user's engine")
    return chosen


def _match(name: str, containers: Sequence[FoundContainer]) -> list[FoundContainer]:
    """All that a name may mean: root's if root has any, else every user's best."""
    by_owner: dict[int | None, list[FoundContainer]] = {}
    for one in containers:
        by_owner.setdefault(one.owner_uid, []).append(one)
    roots = _match_within(name, by_owner.pop(None, []))
    return roots or [one for theirs in by_owner.values() for one in _match_within(name, theirs)]


def _match_within(name: str, containers: Sequence[FoundContainer]) -> list[FoundContainer]:
    return (
        [one for one in containers if one.id == name]
        or [one for one in containers if name in one.names]
        or [one for one in containers if len(name) >= MIN_PREFIX and one.id.startswith(name)]
    )


def _not_found(name: str, survey: Survey) -> ZomtraceError:
    stopped = _match(name, survey.find_stopped())
    if stopped:
        return TargetNotFoundError(
            f"container {stopped[0].label} exists but is {stopped[0].state}",
            hint="start it; only running containers can be traced",
        )
    roots = _unreachable_roots(survey)
    if roots:
        engines = "; ".join(one.label for one in roots)
        return RuntimeUnreachableError(
            f"no container matches {name!r}, but an engine could not be queried: {engines}",
            hint=roots[0].hint,
        )
    kept = survey.unreadable
    if kept:
        return PrivilegeError(
            f"no container matches {name!r}, but {kept[0]} cannot be read:"
            f" {lacks(READ_STATE) or 'permission'} missing",
            hint="run as root, or with CAP_DAC_READ_SEARCH",
        )
    # What another user's engine does is no reason to doubt the answer; it is reported.
    unasked = [f"not queried: {one.label}" for one in survey.unreachable[:_LISTED]]
    running = (
        f"running: {_enumerate(survey.running)}" if survey.running else "no container is running"
    )
    return TargetNotFoundError(
        f"no container matches {name!r}", hint="; ".join([running, *unasked, *survey.notes])
    )


def _unreachable_roots(survey: Survey) -> list[UnreachableEngine]:
    return [one for one in survey.unreachable if one.owner_uid is None]


def _check_name(name: str) -> None:
    if not is_sayable(name):
        shown = name if len(name) <= 80 else f"{name[:80]}..."
        raise UsageError(
            f"{shown!r} is not a valid container name",
            hint="give an id, a unique prefix or a name, as `docker ps` prints them",
        )


def _enumerate(containers: Sequence[FoundContainer]) -> str:
    shown = ", ".join(one.label for one in containers[:_LISTED])
    more = len(containers) - _LISTED
    return f"{shown} and {more} more" if more > 0 else shown
