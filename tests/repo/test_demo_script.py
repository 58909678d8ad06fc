"""scripts/demo, with stand-ins for setup and for zomtrace."""

from __future__ import annotations

from tests.support.checkout import Checkout


def test_the_demo_sets_up_and_passes_its_arguments_on(ready: Checkout) -> None:
    done = ready.run("demo", "fwd-sig", "--json")
    assert done.returncode == 0
    assert done.stdout == "traced\n"
    assert ready.called() == ["setup ", "zomtrace demo fwd-sig --json"]


def test_the_demo_does_not_start_where_set_up_failed(ready: Checkout) -> None:
    ready.stand_in(ready.root / "scripts/setup", status=69)
    assert ready.run("demo").returncode == 69
    assert ready.called() == ["setup "]
