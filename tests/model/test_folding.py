"""Lives that the kernel side folds: every history gives the report it gives unfolded."""

from __future__ import annotations

import json
import random

import pytest

from tests.model.history import Model, history
from tests.model.spoil import reordered, with_losses
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.diagnose.summary import summarise
from tracer.model.events import EndEvent, Event
from tracer.report.jsonreport import render_report_file

FLAVOURS = pytest.mark.parametrize("is_exact", [True, False], ids=["kprobes", "tracepoints"])
MIN_ZOMBIE_NS = 1_000_000_000
FULL_TABLE = 3


def folded_history(seed: int, length: int = 40, *, room: int = 1 << 30) -> Model:
    return history(seed, length, late=seed % 3 * 10, min_zombie_ns=MIN_ZOMBIE_NS, room=room)


def report(model: Model, *, is_exact: bool, is_folded: bool, options: CorrelatorOptions) -> str:
    correlator = Correlator(options)
    for event in model.stream(is_exact=is_exact, is_folded=is_folded):
        correlator.feed(event)
    correlator.feed(EndEvent(model.kernel.t, "model"))
    return render_report_file(summarise(correlator))


@pytest.mark.parametrize("keeps", [True, False], ids=["container", "host"])
@pytest.mark.parametrize("min_zombie_ns", [0, MIN_ZOMBIE_NS], ids=["all-zombies", "old-zombies"])
@FLAVOURS
def test_the_report_is_the_same_folded_and_unfolded(
    histories: int, is_exact: bool, min_zombie_ns: int, keeps: bool
) -> None:
    options = CorrelatorOptions(min_zombie_ns=min_zombie_ns, keep_uneventful=keeps)
    folded = 0
    for seed in range(500_000, 500_000 + histories):
        model = folded_history(seed)
        folded += model.recorder.foldings[is_exact].folded
        found = report(model, is_exact=is_exact, is_folded=True, options=options)
        wanted = report(model, is_exact=is_exact, is_folded=False, options=options)
        assert found == wanted, f"seed {seed}"
    # Or nothing was shown.
    assert folded > histories // 5


def without_instants(report: str) -> str:
    """Leave out when those that are counted went.

    Where a number is given anew before the release of its last owner is told, that is
    by the new owner's birth or by the release: by which one depends on whether the process
    was counted in between.
    """
    raw = json.loads(report)
    for name, rows in (raw["folded"] or {}).items():
        if name != "totals":
            for row in rows:
                row.update(dict.fromkeys(("first_boot_ns", "last_boot_ns")))
            rows.sort(key=json.dumps)
    return json.dumps(raw, indent=1)


@pytest.mark.parametrize("detail", [1, 4])
@FLAVOURS
def test_what_is_counted_and_not_listed_is_the_same_folded_and_unfolded(
    histories: int, is_exact: bool, detail: int
) -> None:
    options = CorrelatorOptions(min_zombie_ns=MIN_ZOMBIE_NS, detail=detail)
    counted = 0
    for seed in range(550_000, 550_000 + histories):
        model = folded_history(seed)
        found = report(model, is_exact=is_exact, is_folded=True, options=options)
        wanted = report(model, is_exact=is_exact, is_folded=False, options=options)
        if not is_exact:
            found, wanted = without_instants(found), without_instants(wanted)
        assert found == wanted, f"seed {seed}"
        counted += json.loads(found)["folded"] is not None
    assert counted > histories // 10


@FLAVOURS
def test_a_full_table_shows_the_rest_event_by_event(histories: int, is_exact: bool) -> None:
    options = CorrelatorOptions(min_zombie_ns=0)
    folded = 0
    for seed in range(600_000, 600_000 + histories // 2):
        model = folded_history(seed, room=FULL_TABLE)
        folded += model.recorder.foldings[is_exact].folded
        found = report(model, is_exact=is_exact, is_folded=True, options=options)
        wanted = report(model, is_exact=is_exact, is_folded=False, options=options)
        assert found == wanted, f"seed {seed}"
    assert folded > 0


@FLAVOURS
def test_folded_lifetimes_are_reported_as_they_were(histories: int, is_exact: bool) -> None:
    for seed in range(700_000, 700_000 + histories):
        model = folded_history(seed)
        assert model.differences(is_exact=is_exact, is_folded=True) == [], f"seed {seed}"


@pytest.mark.parametrize("is_bounded", [True, False], ids=["since", "any-time-before"])
@FLAVOURS
def test_losses_among_folded_lifetimes_never_make_an_untruth(
    histories: int, is_exact: bool, is_bounded: bool
) -> None:
    for seed in range(800_000, 800_000 + histories // 2):
        rng = random.Random(seed)
        share = rng.choice([0.02, 0.1, 0.3])

        def spoil(
            events: list[Event], rng: random.Random = rng, share: float = share
        ) -> list[Event]:
            return with_losses(events, rng, share, is_bounded=is_bounded)

        found = folded_history(seed).differences(
            is_exact=is_exact, spoil=spoil, is_lossy=True, is_folded=True
        )
        assert found == [], f"seed {seed}"


@FLAVOURS
def test_swapped_neighbours_change_nothing(histories: int, is_exact: bool) -> None:
    for seed in range(900_000, 900_000 + histories // 4):
        rng = random.Random(seed)

        def spoil(events: list[Event], rng: random.Random = rng) -> list[Event]:
            return reordered(events, rng)

        model = history(seed, min_zombie_ns=MIN_ZOMBIE_NS)
        stream = model.stream(is_exact=is_exact, is_folded=True)
        stream.sort(key=lambda event: event.boot_ns)
        assert model.differences(is_exact=is_exact, spoil=spoil, is_folded=True) == [], seed
