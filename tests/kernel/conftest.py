"""The live tests' containers, for the tests of kernel guests."""

from tests.live.conftest import _runc, busybox, runc

__all__ = ["_runc", "busybox", "runc"]
