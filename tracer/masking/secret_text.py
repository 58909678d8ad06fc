"""Secrets in one word of a command line, known by how they look.

Each function goes over its text once. The regular expressions repeat one class of
characters each, and nothing more: whatever they are given, a character is
looked at a fixed number of times.
"""

from __future__ import annotations

import re
from itertools import pairwise

from tracer.masking.secret_names import Secrecy, secrecy_of

MASK = "***"
_NAME = re.compile(r"[\w.-]+")
_PIECE = re.compile(r"\S+")
_QUERY_END = re.compile(r"[&#]")
_LEAST_KNOWN = 12
"""No token that is known by its beginning is shorter."""
_MOST_HARMLESS = 256
"""A longer value need not be shown."""
_KNOWN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:hv[sbr]\.|gh[pousr]_|github_pat_|gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-|glsa_|xox[a-z]-"
    r"|xapp-|[spr]k_(?:live|test)_|whsec_|sk-ant-|ya29\.|dop_v1_|doo_v1_|SG\.|dckr_pat_|shp\w\w_"
    r"|sq0\w\w\w-|AGE-SECRET-KEY-|tskey-|lin_api_|PMAK-|NRAK-|rubygems_|pypi-|ATATT|ATCTT"
    r"|xkeysib-|SWMTKN-|sntrys_|CCIPAT_|pul-|nvapi-|gsk_|figd_)[\w.=+/:-]{6,}"
    r"|sk-[\w-]{16,}|(?:npm|hf|sbp|fo1|r8)_[A-Za-z0-9]{16,}|(?:AKIA|ASIA|AIza|ABIA|ACCA)[\w-]{12,}"
    r"|(?:dapi|key-)[0-9a-f]{28,}|eyJ[\w.=-]{10,}|K10[0-9a-f]{32,}|bot[0-9]{8,}:[\w-]{6,}"
    r")"
)
_RUN = re.compile(r"[A-Za-z0-9+/_-]{24,}")
_ALNUM = re.compile(r"[A-Za-z0-9]{24,}")
_HOOK_HOSTS = ("hooks.slack.com/", "discord.com/api/webhooks/", "discordapp.com/api/webhooks/")
_LOGIN_SIGNS = ":%,"
_USER_SCHEMES = ("ssh", "sftp", "rsync", "scp")
_NO_USERS = frozenset({"mailto", "npm", "sip", "sips", "xmpp", "acct"})
_DIGESTS = ("sha256:", "sha512:")
_BEHIND_NAMES = frozenset("=: \t\\\"'])(>%")
_PHRASES = frozenset(
    {"bearer", "password", "passwd", "passphrase", "by", "for", "auth", "login", "authenticate"}
)
_ANNOUNCING = frozenset(
    {"password", "passwd", "passphrase", "secret", "token", "basic", "bearer", "apikey"}
)
_BOOLEANS = frozenset(
    {"true", "false", "yes", "no", "on", "off", "none", "null", "required", "optional"}
)
_PLACES = (
    "/etc/", "/var/", "/run/", "/home/", "/root/", "/opt/", "/usr/", "/srv/", "/tmp/", "/mnt/",  # noqa: S108
    "/data/", "/app/", "/proc/", "/dev/", "/certs/", "/ssl/", "/tls/", "/secrets/", "/keys/",
    "./", "../", "~/", "file:", "env:", "fd:",
)  # fmt: skip
_SUFFIXES = (
    ".pem", ".key", ".crt", ".cer", ".json", ".p12", ".pfx", ".jks", ".pub", ".gpg", ".asc",
    ".der", ".yaml", ".yml", ".txt", ".conf",
)  # fmt: skip
_SCHEMES = frozenset({"basic", "bearer", "token", "digest", "negotiate", "apikey", "key"})
_PEM = "-----BEGIN"


def mask_word(text: str, *, is_cut: bool = False) -> str:
    """Mask what looks like a secret in one word or text.

    Args:
        text: Of bounded length.
        is_cut: Its end is missing, so what would show the rest to be a secret may be.

    >>> mask_word("--db-pass=hunter2"), mask_word("postgres://u:hun/ter2@h/d")
    ('--db-pass=***', 'postgres://***@h/d')
    """
    if len(text) < _LEAST_KNOWN and text.lstrip("-").isalnum():
        return text
    pem = text.find(_PEM)
    if pem >= 0:
        text = text[:pem] + MASK
    name, blank, value = text.partition(" ")
    if blank and " " not in value and name.lower() in _ANNOUNCING:
        return f"{name} {MASK}"
    if "://" in text:
        text = _mask_urls(text, is_cut=is_cut)
    if "@" in text or (is_cut and ":" in text):
        text = _mask_logins(text, is_cut=is_cut)
    text = _mask_pairs(text)
    text = _KNOWN.sub(MASK, text)
    return _RUN.sub(_mask_run, text)


def names_what_follows(text: str) -> Secrecy:
    """Judge the next word by this one: ``Authorization:``, ``password=``."""
    if text[-1:] not in (":", "="):
        return Secrecy.NONE
    found = Secrecy.NONE
    for match in _NAME.finditer(text[-72:]):
        if not text[-72:][match.end() :].strip(":=\"'\\>] "):
            found = secrecy_of(match[0])
    return found


def names_a_place(value: str) -> bool:
    """Whether the value of a key's name is where it is kept, and not the key."""
    value = value.strip("'\"")
    return value.startswith(_PLACES) or value.endswith(_SUFFIXES)


def is_harmless(value: str, secrecy: Secrecy) -> bool:
    """Whether a value reveals nothing though its name is a secret's."""
    if not value or value.lower() in _BOOLEANS or value == MASK:
        return True
    if value.startswith(("file:", "env:", "fd:")):
        return True
    return secrecy is Secrecy.KEY and (names_a_place(value) or (value.isdigit() and len(value) < 3))


def is_scheme(word: str) -> bool:
    """Whether a header's first word only says what kind of secret comes next."""
    return word.lower() in _SCHEMES


def looks_chosen(value: str) -> bool:
    """Whether this may be a password that a person chose: letters with digits or signs.

    >>> looks_chosen("hunter2"), looks_chosen("8080:80"), looks_chosen("/srv/v2")
    (True, False, False)
    """
    if len(value) < 6 or value.startswith(("/", "./", "~/")):
        return False
    has_letter = any(char.isalpha() for char in value)
    return has_letter and any(char.isdigit() or char in "!@#$%^&*?+" for char in value)


def mask_login(word: str) -> str:
    """Mask the password of ``user:password``, ``user%password``, ``user,password``."""
    if word.replace(":", "").isdigit():
        return word
    signs = [at for sign in _LOGIN_SIGNS if (at := word.find(sign)) >= 0]
    if not signs:
        return mask_word(word)
    return f"{word[: min(signs) + 1]}{MASK}"


def mask_pair(word: str) -> str:
    """Mask the value of ``name=value``, whatever its name is."""
    name, equals, value = word.partition("=")
    return f"{name}={MASK}" if equals and value and not value.startswith("@") else mask_word(word)


def mask_slashed(word: str) -> str:
    """Mask the password of ``user/password@database``."""
    user, _, rest = word.partition("/")
    if not user or " " in user or "." in user:
        return mask_word(word)
    at = rest.rfind("@")
    return f"{user}/{MASK}{rest[at:] if at >= 0 else ''}"


def _mask_urls(text: str, *, is_cut: bool) -> str:
    out, done = [], 0
    while True:
        at = text.find("://", done)
        if at < 0:
            break
        begin = at + 3
        piece = _PIECE.match(text, begin)
        end = piece.end() if piece is not None else begin
        rest = text[begin:end]
        scheme = text[max(done, at - 12) : at].rpartition("+")[2].lower()
        out.append(text[done:begin])
        out.append(_mask_userinfo(rest, scheme, is_cut=is_cut and end == len(text)))
        done = end
    out.append(text[done:])
    return "".join(out)


def _mask_userinfo(rest: str, scheme: str, *, is_cut: bool) -> str:
    if rest.startswith(_HOOK_HOSTS):
        return f"{rest.partition('/')[0]}/{MASK}"
    last = rest.rfind("@")
    if last < 0 or rest.startswith(_DIGESTS, last + 1):
        # A password may hold a slash: the telltale part is cut off.
        return MASK if is_cut and ":" in rest else rest
    userinfo = rest[:last]
    if ":" in userinfo:
        return f"{MASK}{rest[last:]}"
    if "/" in userinfo or scheme.endswith(_USER_SCHEMES):
        return rest
    return f"{MASK}{rest[last:]}"


def _mask_logins(text: str, *, is_cut: bool) -> str:
    """Mask ``user:password@host`` without a scheme."""

    def mask(match: re.Match[str]) -> str:
        piece = match[0]
        if "://" in piece:
            return piece
        last = piece.rfind("@")
        if last < 0:
            last = len(piece) if is_cut and match.end() == len(text) else -1
        colon = piece.find(":", 0, max(last, 0))
        if colon <= 0 or colon + 1 >= last or piece.startswith(_DIGESTS, last + 1):
            return piece
        if piece[:colon].lower() in _NO_USERS or piece[:colon].endswith(('"', "'")):
            return piece
        return f"{piece[: colon + 1]}{MASK}{piece[last:]}"

    return _PIECE.sub(mask, text)


def mask_phrases(text: str) -> str:
    """Mask the values that are quoted, in brackets or one word, wherever in a text.

    >>> mask_phrases("mysql -e ALTER USER x IDENTIFIED BY 'hunter2'; exit")
    "mysql -e ALTER USER x IDENTIFIED BY '***'; exit"
    """
    return _mask_pairs(text, is_script=True)


def _mask_pairs(text: str, *, is_script: bool = False) -> str:
    """Mask the values of names: ``name=value``, ``name: value``, JSON, SQL, calls."""
    out: list[str] = []
    done = 0
    is_identified = is_setting = False
    last_percent = text.rfind("%")
    for match in _NAME.finditer(text):
        if match.start() < done:
            continue
        end = match.end()
        if text[end : end + 1] not in _BEHIND_NAMES:
            continue
        name = match[0]
        lower = name[-24:].lower().rpartition(".")[2]
        is_identified = is_identified or lower == "identified"
        is_query = text[match.start() - 1 : match.start()] in ("?", "&")
        stop: int | None = None
        begin = _value_begin(text, end)
        if begin is not None:
            secrecy = secrecy_of(name)
            if lower in ("user", "username", "userid") and secrecy is Secrecy.NONE:
                if last_percent > begin and not is_query and not is_script:
                    percent = text.index("%", begin)
                    out += [text[done : percent + 1], MASK]
                    done = len(text)
                continue
            if is_query and lower in ("sig", "code"):
                secrecy = Secrecy.SECRET
        elif lower not in _PHRASES and not (
            text[end] == ">" and secrecy_of(name) is Secrecy.SECRET
        ):
            continue
        else:
            begin, stop = _phrase(text, end, lower, is_identified=is_identified)
            secrecy = Secrecy.SECRET
            if begin is None:
                # SET PASSWORD FOR 'bob'@'%' = '...'
                is_setting = (is_setting and lower == "for") or lower == "password"
                equals = text.find("=", end) if is_setting and lower == "for" else -1
                begin = _skip(text, equals + 1, " ", 2) if equals >= 0 else None
        if begin is None or begin >= len(text) or secrecy is Secrecy.NONE:
            continue
        if stop is None:
            begin, stop, is_bounded = _value_bounds(text, begin, is_query=is_query)
            if is_script and not is_bounded:
                continue
        value = text[begin:stop] if stop - begin <= _MOST_HARMLESS else "..."
        if is_harmless(value, secrecy) or (name == "PWD" and value.startswith("/")):
            continue
        out += [text[done:begin], MASK]
        done = stop
    out.append(text[done:])
    return "".join(out)


def _phrase(
    text: str, end: int, lower: str, *, is_identified: bool
) -> tuple[int | None, int | None]:
    """Find a secret that no ``=`` announces: ``Bearer x``, ``BY 'x'``, ``login('bob', 'x')``."""
    if text[end] == ">":
        close = text.find("<", end)
        return end + 1, close if close >= 0 else len(text)
    behind = _skip(text, end, " \t", 3)
    if end < behind < len(text):
        if lower == "bearer":
            word = _PIECE.match(text, behind)
            return behind, word.end() if word is not None else len(text)
        is_named = lower in ("password", "passwd", "passphrase")
        if (is_named or (lower == "by" and is_identified)) and text[behind] in "'\"":
            return behind, None
    if lower in ("auth", "login", "password", "authenticate") and text[end : end + 1] == "(":
        close = text.find(")", end)
        return end + 1, close if close >= 0 else len(text)
    return None, None


def _value_begin(text: str, at: int) -> int | None:
    """Where the value begins behind a name, or None where none does."""
    if text[at] in "(>":
        return None
    if text[at] == "%":
        # A quote and a colon as an address writes them.
        at += 3 if text.startswith(("%22", "%27"), at) else 0
        return at + 3 if text[at : at + 3].upper() in ("%3A", "%3D") else None
    at = _skip(text, at, "\\\"'])", 3)
    at = _skip(text, at, " \t", 2)
    separator = text[at : at + 1]
    if separator not in ("=", ":") or text.startswith("://", at):
        return None
    at = _skip(text, at, "=:>", 3)
    return _skip(text, at, " \t", 2)


def _skip(text: str, at: int, chars: str, most: int) -> int:
    end = at
    while end - at < most and end < len(text) and text[end] in chars:
        end += 1
    return end


def _value_bounds(text: str, begin: int, *, is_query: bool) -> tuple[int, int, bool]:
    """Where a value begins and ends, and whether its quotes say so; else it is the whole rest."""
    if is_query:
        end = _QUERY_END.search(text, begin)
        return begin, end.start() if end is not None else len(text), False
    escaped = _skip(text, begin, "\\", 3)
    quote = text[escaped : escaped + 1]
    if quote not in ("'", '"'):
        return begin, len(text), False
    closing = text[begin : escaped + 1]
    at = begin = escaped + 1
    while True:
        close = text.find(closing, at)
        if close < 0:
            return begin, len(text), False
        if len(closing) > 1 or text[close - 1] != "\\":
            return begin, close, True
        at = close + 1


def _mask_run(match: re.Match[str]) -> str:
    run = match[0]
    before = match.string[match.start() - 1 : match.start()] if match.start() else ""
    is_in_url = "://" in match.string
    if "/" not in run and before != "." and not is_in_url:
        return MASK if _is_mixed(run) else _ALNUM.sub(_mask_alnum, run)
    if is_in_url:
        return "/".join(MASK if _is_mixed(part) else part for part in run.split("/"))
    if before in (".", "~") or run.startswith("/"):
        return run
    # A path has words in it; what base64 writes has none.
    if any(part.isalpha() and part.islower() and len(part) > 1 for part in run.split("/")):
        return run
    return MASK if _is_mixed(run) else run


def _mask_alnum(match: re.Match[str]) -> str:
    # Container ids are long hexadecimal numbers, and worth reading.
    run = match[0]
    if not run.strip("0123456789abcdef") or run.isdigit() or run.isalpha():
        return run
    changes = sum(a.isdigit() != b.isdigit() for a, b in pairwise(run))
    return MASK if changes >= 4 else run


def _is_mixed(text: str) -> bool:
    return (
        len(text) >= 32
        and any(char.isdigit() for char in text)
        and any(char.isupper() for char in text)
        and any(char.islower() for char in text)
    )
