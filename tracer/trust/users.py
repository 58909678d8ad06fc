"""What to call another user."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

_PASSWD = Path("/etc/passwd")


@lru_cache(maxsize=256)
def user_label(uid: int) -> str:
    """``user alice``, or ``user 4321`` where /etc/passwd has no such user.

    The file is read as it is: a directory service that /etc/nsswitch.conf names may
    take its time, or belong to the user that is asked about.
    """
    try:
        with _PASSWD.open("rb") as file:
            for line in file:
                fields = line.split(b":", 3)
                if len(fields) == 4 and fields[2] == b"%d" % uid:
                    return f"user {fields[0].decode(errors='replace')[:32]}"
    except OSError:
        pass
    return f"user {uid}"
