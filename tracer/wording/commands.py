"""Command lines in sentences: short, and only where they are of the program that ran."""

from __future__ import annotations

_MOST_CHARACTERS = 48
_MOST_COMM = 15
_SCRIPT_BY = 3
"""A script is named by one of so many words: behind its interpreter and an option of that."""


def name_by_command(comm: str, command: str | None) -> str:
    """Name a program by its command line, cut; by its name where that is of another one.

    A reading may be older than the last exec. An interpreter is called after its script.

    Args:
        comm: Its newest name.
        command: The command line that was read, masked, or None.

    >>> name_by_command("python3", "/usr/bin/python3 /app/worker.py --queue mail")
    '`python3 /app/worker.py --queue mail`'
    >>> name_by_command("gunicorn", "/usr/bin/python3 -I /srv/app/venv/bin/gunicorn -w 2 app:app")
    '`python3 -I .../gunicorn -w 2 app:app`'
    >>> name_by_command("entry.sh", "/bin/sh /entry.sh"), name_by_command("sh", "runc init")
    ('`sh /entry.sh`', 'sh')
    """
    words = command.split(" ") if command else []
    names = {word.rpartition("/")[2].removeprefix("-")[:_MOST_COMM] for word in words[:_SCRIPT_BY]}
    if len(words) < 2 or comm[:_MOST_COMM] not in names:
        return comm
    words[0] = words[0].rpartition("/")[2]
    text = " ".join(words)
    if len(text) > _MOST_CHARACTERS:
        # The script's name says more than the directories that it is in.
        words[1:_SCRIPT_BY] = [
            _without_directories(word) if place == 1 or word.endswith(f"/{comm}") else word
            for place, word in enumerate(words[1:_SCRIPT_BY], 1)
        ]
        text = " ".join(words)
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[: _MOST_CHARACTERS - 3].rstrip()}..."
    return f"`{text}`"


def _without_directories(word: str) -> str:
    """Cut a path that begins at the root: ``.../gunicorn``; other words stay.

    >>> _without_directories("/opt/app/bin/gunicorn"), _without_directories("/app.py")
    ('.../gunicorn', '/app.py')
    """
    directory, _, name = word.rpartition("/")
    return f".../{name}" if word.startswith("/") and len(directory) > 3 and name else word
