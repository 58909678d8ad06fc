"""Names whose values are secrets: of options, variables, headers, keys of JSON."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

_MOST_CHARACTERS = 64
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Secrecy(Enum):
    """What the value of a name may be."""

    NONE = "none"
    KEY = "key"
    """A secret, or the file that holds it."""
    SECRET = "secret"  # noqa: S105


_ANYWHERE = (
    "passw", "passph", "passcode", "passkey", "secret", "token", "mnemonic", "privatekey",
    "accesskey", "apikey", "sessionid", "sessid", "webhookurl", "connectionstring", "connstr",
    "motdepasse", "contrasena", "contrase", "senha", "parola", "haslo", "wachtwoord", "kennwort",
)  # fmt: skip
_PARTS = frozenset({"pass", "passin", "passout", "pwd", "jwt", "bearer"})
_NOUNS = frozenset({"pw", "psk", "pin", "otp", "totp", "cred", "creds", "dsn", "signature"})
_ENDINGS = ("pass", "pwd", "psk")
_KEY_ENDINGS = ("key", "auth")
_NO_SECRETS = frozenset({
    "bypass", "compass", "encompass", "overpass", "underpass", "trespass", "multipass", "onepass",
    "twopass", "singlepass", "oldpwd", "monkey", "turkey", "donkey", "hotkey", "pubkey", "hostkey",
    "publickey", "sortkey", "primarykey", "foreignkey", "partitionkey", "tokenizer", "tokenize",
    "tokenizers", "unauth", "passive", "secretary",
})  # fmt: skip
_OPEN_KEYS = frozenset({"pub", "public", "sort", "primary", "foreign", "partition", "host", "hot"})
# --password-file, --token-ttl, --secret-name: about a secret, and none.
_ABOUT = frozenset({
    "file", "files", "filename", "path", "paths", "dir", "directory", "folder", "name", "names",
    "url", "uri", "endpoint", "host", "port", "server", "type", "ttl", "len", "length", "size",
    "count", "policy", "timeout", "expiry", "expires", "expiration", "age", "duration", "format",
    "alg", "algo", "algorithm", "mode", "prompt", "stdin", "enabled", "disabled", "required", "fd",
    "env", "arn", "ref", "provider", "manager", "method", "methods", "class", "level", "scheme",
    "field", "column", "version", "rotation", "interval", "retries", "limit", "issuer", "audience",
    "location", "bits", "usage", "fingerprint", "authentication", "authorization", "webhook",
    "service", "namespace", "store", "engine", "backend", "plugin", "helper", "checking", "review",
})  # fmt: skip
_ABOUT_ENDINGS = ("file", "filename", "path", "fd", "stdin", "store", "dir")
LINKS = frozenset({"by", "for", "is", "as", "to", "=", ":", ":="})
"""Words between a secret's name and the secret."""
_FLAGS = frozenset({
    "no", "ask", "skip", "without", "use", "enable", "disable", "prompt", "allow", "show", "has",
    "is", "force", "generate", "rotate", "revoke", "list",
})  # fmt: skip


@lru_cache(maxsize=4096)
def secrecy_of(name: str) -> Secrecy:
    """Judge a name by its parts, however they are joined.

    >>> secrecy_of("-Djavax.net.ssl.keyStorePassword"), secrecy_of("--password-file")
    (<Secrecy.SECRET: 'secret'>, <Secrecy.NONE: 'none'>)
    """
    # The end of a name is its noun.
    name = name[-_MOST_CHARACTERS:]
    parts = [part.lower() for part in _PART.findall(name)]
    if not parts:
        return Secrecy.NONE
    joined, last = "".join(parts), parts[-1]
    if joined in ("authorization", "proxyauthorization"):
        return Secrecy.SECRET
    if joined.endswith("authorizationmode") or last in _NO_SECRETS or joined in _NO_SECRETS:
        return Secrecy.NONE
    if joined.endswith(("secretid", "sessionid", "sessid")):
        return Secrecy.SECRET
    if last in _ABOUT or (last == "id" and not joined.endswith("sid")):
        return Secrecy.NONE
    if any(last.endswith(ending) for ending in _ABOUT_ENDINGS):
        return Secrecy.NONE
    if last == "tokens" and parts[0] in ("max", "min", "num", "total"):
        return Secrecy.NONE
    if last == "keys" and len(parts) > 1 and parts[-2] in ("api", "access", "secret", "private"):
        return Secrecy.SECRET
    if "passthrough" in joined:
        return Secrecy.NONE
    if last in _NOUNS or any(word in joined for word in _ANYWHERE):
        return Secrecy.SECRET
    for part in parts:
        if part in _PARTS or (part not in _NO_SECRETS and part.endswith(_ENDINGS)):
            return Secrecy.SECRET
    if last.endswith(_KEY_ENDINGS) or "credential" in joined or "cookie" in joined:
        is_open = len(parts) > 1 and parts[-2] in _OPEN_KEYS
        return Secrecy.NONE if is_open else Secrecy.KEY
    return Secrecy.NONE


@lru_cache(maxsize=4096)
def takes_secret_next(option: str) -> Secrecy:
    """Judge an option whose value, if it has one, is the next word.

    >>> takes_secret_next("--no-password")
    <Secrecy.NONE: 'none'>
    """
    name = option[:_MOST_CHARACTERS].lstrip("-")
    if len(name) < 2:
        return Secrecy.NONE
    first = _PART.match(name)
    if first is not None and first[0].lower() in _FLAGS and len(first[0]) < len(name):
        return Secrecy.NONE
    return secrecy_of(name)


@lru_cache(maxsize=4096)
def is_compound_secret(name: str) -> bool:
    """Whether a bare word can only be a secret's name: ``DB_PASSWORD``, ``user.password``."""
    # //registry/:_authToken is a name of npm's.
    name = name.rpartition("/:")[2]
    if len(name) > _MOST_CHARACTERS or "/" in name:
        return False
    if len(_PART.findall(name)) < 2:
        return False
    return secrecy_of(name) is Secrecy.SECRET
