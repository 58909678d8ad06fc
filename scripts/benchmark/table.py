"""The results as markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmark.figures import PeerFigures, Spread
from benchmark.peers import EXEC, FORK, FORK_ONE, NOTHING, PEERS, SIGNAL
from benchmark.targets import rows_of, targets

_TITLES = {one.name: one.title for one in PEERS}
_STORM_WORDS = {FORK: "fork storm", FORK_ONE: "with one CPU free", EXEC: "exec storm",
                SIGNAL: "signal storm"}  # fmt: skip
_README_ROWS = ("zt-other", "zt-all", "zt-record", "exitsnoop", "bpftrace-exit", "forkstat",
                "strace", "perf-exit")  # fmt: skip


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = "".join(_row(row) for row in rows)
    return _row(head) + _row(["---", *["---:"] * (len(head) - 1)]) + body


def _ratio(spread: Spread | None, *, with_spread: bool = True) -> str:
    if spread is None:
        return "-"
    if not with_spread or spread.low == spread.high:
        return f"{spread.median:.2f}"
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"


def _number(value: float | None, form: str, scale: float = 1.0) -> str:
    return "-" if value is None else form.format(value * scale)


def _median(spread: Spread | None, form: str) -> str:
    return "-" if spread is None else form.format(spread.median)


def _first(figures: PeerFigures) -> str:
    """Until the first event is shown; of what shows none, until it is attached."""
    return _median(figures.first_s or figures.ready_s, "{:.2f}")


def _lost(figures: PeerFigures) -> str:
    if figures.missing is not None:
        lost = max(0, figures.missing)
        share = lost / figures.happened if figures.happened else 0.0
        return "0" if lost == 0 else f"{lost:,} ({share:.2%})"
    if figures.lost_own_word is not None:
        return f"{figures.lost_own_word:,}, says itself"
    return "-"


def _main(rows: Mapping[str, PeerFigures]) -> str:
    return _table(
        ["slow-down by", "fork storm", "one CPU free", "exec storm", "signal storm",
         "the fork storm's own CPU time", "lost"],
        [
            [
                _TITLES[name],
                *(_ratio(row.slow_down.get(storm)) for storm in (FORK, FORK_ONE, EXEC, SIGNAL)),
                _ratio(row.work),
                _lost(row),
            ]
            for name, row in rows.items()
        ],
    )  # fmt: skip


def _cost(rows: Mapping[str, PeerFigures]) -> str:
    return _table(
        ["cost of", "CPU-s / million processes", "CPU-s / million signals", "resident MB",
         "at most MB", "first event s*", "latency ms", "95 % ms"],
        [
            [
                _TITLES[name],
                _median(row.cpu_per_million_processes, "{:.1f}"),
                _median(row.cpu_per_million_signals, "{:.1f}"),
                _number(row.resident, "{:.0f}", 1e-6),
                _number(row.highest, "{:.0f}", 1e-6),
                _first(row),
                _number(row.latency_s, "{:.1f}", 1e3),
                _number(row.latency_p95_s, "{:.1f}", 1e3),
            ]
            for name, row in rows.items()
        ],
    )  # fmt: skip


def _once(data: Mapping[str, Any]) -> str:
    lines = [*_long(data), *_zombies(data), *_crowd(data)]
    lines += [
        f"{_TITLES[name]}, with nothing to do: {share:.2%} of a processor"
        for name, share in data["idle"].items()
    ]
    lines += [
        f"{_TITLES[name]} did not work: {reason}" for name, reason in data["unavailable"].items()
    ]
    return "".join(f"- {line}\n" for line in lines)


def _long(data: Mapping[str, Any]) -> Iterator[str]:
    for run in data["long"]:
        yield (
            f"{_TITLES[run['peer']]}, a fork storm of {run['seconds']:.0f} s on all processors:"
            f" {run['processes']:,} processes,"
            f" {run['working_cpu_s'] * 1e6 / run['processes']:.1f} CPU-s per million"
            f" ({run['all_cpu_s'] * 1e6 / run['processes']:.1f} with its ending),"
            f" {sum(run['seen']['lost'].values())} lost, {run['highest'] / 1e6:.0f} MB at most"
        )


def _zombies(data: Mapping[str, Any]) -> Iterator[str]:
    base = next((one for one in data["zombies"] if "scan_s" in one), None)
    if base is None:
        return
    yield (
        f"{base['number']:,} zombies at once, nothing attached: made in {base['made_s']:.2f} s,"
        f" reaped in {base['reaped_s']:.2f} s; `zomtrace zombies` finds {base['scan_found']:,} in"
        f" {base['scan_s']:.1f} s"
    )
    for one in data["zombies"]:
        if one is base:
            continue
        told = one["seen"]["lost"]
        lost = "" if told is None else f" {sum(told.values())} lost,"
        yield (
            f"the same with {_TITLES[one['peer']]}: made in {one['made_s']:.2f} s, reaped in"
            f" {one['reaped_s']:.2f} s,{lost} {one['highest'] / 1e6:.0f} MB at most"
        )


def _crowd(data: Mapping[str, Any]) -> Iterator[str]:
    for one in data["crowd"]:
        yield (
            f"{_TITLES[one['peer']]} among {one['number']:,} idle processes: first event after"
            f" {one['first_s']:.2f} s, latency {_number(one['latency_s'], '{:.1f}', 1e3)} ms,"
            f" {one['highest'] / 1e6:.0f} MB at most"
        )


_HOOKS = ("fork", "exec", "exec_spare", "exit", "exit_spare", "free", "signal", "deliver")


def _hooks(data: Mapping[str, Any]) -> str:
    """Nanoseconds a run, by hook."""
    hooks = data["hooks"]
    if not hooks:
        return ""

    def cell(peer: str, program: str) -> str:
        found = hooks.get(peer, {}).get(program)
        return "-" if found is None else f"{found['ns']:.0f}"

    def only_one(peer: str) -> str:
        programs = list(hooks.get(peer, {}))
        return cell(peer, programs[0]) if len(programs) == 1 else "-"

    rows = [
        [
            hook,
            cell("bare", f"bare_{hook}"),
            cell("zt-other", f"zt_{hook}"),
            cell("zt-all", f"zt_{hook}"),
            *(only_one(peer) if hook == "exit" else "-" for peer in ("exitsnoop", "bpftrace-exit")),
        ]
        for hook in _HOOKS
    ]
    head = ["ns in the program at", "that does nothing", "zomtrace, not concerned",
            "zomtrace, concerned", "exitsnoop", "bpftrace"]  # fmt: skip
    return _table(head, rows)


def _caption(data: Mapping[str, Any]) -> str:
    host = data["host"]
    noise = ", ".join(f"{_STORM_WORDS[one]} {share:.0%}" for one, share in data["noise"].items())
    caption = (
        f"`{data['command']}` on {data['when']}: {host['cpus']} processors ({host['model']}),"
        f" kernel {host['kernel']}; {data['rounds']} interleaved rounds, medians. Nothing"
        f" attached, compared with itself in the same way, is out by up to: {noise or 'not known'}."
    )
    if data["too_noisy"]:
        words = " and ".join(_STORM_WORDS[one] for one in data["too_noisy"])
        caption += f" That is too much for a comparison by the {words}."
    if not data["comparable"]:
        caption += " **The machine was too busy for a comparison: these figures are none.**"
    caption += (
        " Lost: the workload's own count minus the events reported."
        " *: from the tool's start; for tools that show no single events, until they were attached."
    )
    return caption + "\n"


def target_lines(data: Mapping[str, Any]) -> str:
    """The targets, for a terminal."""
    return "".join(
        f"{one.verdict:12}  {one.text}{f': {one.reached}' if one.reached else ''}\n"
        for one in targets(data)
    )


def render_figures(data: Mapping[str, Any]) -> str:
    """All that was measured."""
    rows = rows_of(data, [one.name for one in PEERS if one is not NOTHING])
    parts = (_caption(data), _main(rows), _cost(rows), _hooks(data), _once(data))
    return "\n".join(part for part in parts if part)


def render_page(data: Mapping[str, Any]) -> str:
    """All of it, with the targets, for docs/performance.md."""
    wanted = _table(
        ["target", "reached", "verdict"],
        [[one.text, one.reached or "-", one.verdict] for one in targets(data)],
    )
    return f"{render_figures(data)}\n{wanted}"


def render_readme(data: Mapping[str, Any]) -> str:
    """The few rows for the README."""
    rows = rows_of(data, list(_README_ROWS))
    table = _table(
        ["", "fork storm takes, times", "CPU-s / million processes", "lost", "resident MB",
         "first event s*"],
        [
            [
                _TITLES[name],
                _ratio(row.slow_down.get(FORK), with_spread=False),
                _median(row.cpu_per_million_processes, "{:.1f}"),
                _lost(row),
                _number(row.resident, "{:.0f}", 1e-6),
                _first(row),
            ]
            for name, row in rows.items()
        ],
    )  # fmt: skip
    return f"{table}\n{_caption(data)}"
