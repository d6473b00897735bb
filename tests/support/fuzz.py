"""Requests that nobody means: bodies made from the service model with one place wrong, and HTTP that is none."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

from pipelines.aws import models

SECONDS = 10.0
"""The longest that any answer may take."""
PATIENCE = 0.5
"""How long a server may wait for the rest of a request until our side is closed, seconds."""

STRINGS = (
    *("", " ", "\0", "a\0b", "\ud800", "\udfff\ud800", "\u202e", "😀" * 200, "é" * 300, "x" * 30_000, "9" * 5_000),
    *("NaN", "-Infinity", "1e999", "-0", "0x10", "1_000", "٣", "true", "null", "[" * 2_400, "(" * 2_400, "{" * 19_000),
    *('{"type":' * 2_000, '[{"a":' * 3_000, '"', "'", "\\", "$", "$LATEST", "../../../etc/passwd", "%00", "\r\nX: y"),
    *("s3://", "s3://b/" + "k" * 240, "file:///etc/passwd", "file:///%00", "file://[::1", "http://a/b", "arn:aws:"),
    *("arn:aws:personalize:::recipe/", "arn:aws:personalize:us-east-1:123456789012:x/y", "rate(" + "9" * 10 + " days)"),
    *('INCLUDE ItemID WHERE Items.A IN ("' + "a" * 2_400 + '")', "EXCLUDE ItemID WHERE " + "Items.A = 1 AND " * 150),
    *("SUM(Items.X)", "SUM(" * 60, "INTERACTIONS", "interactions", "ﬁlter", "İ", "a" * 63, "a" * 64, "-a"),
)
OTHERS = (
    *(None, True, False, 0, -1, 1, 1.5, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, float("nan"), float("inf")),
    *([], {}, [None], [[]], [{}], {"a": None}, {"": ""}, ["x"] * 600, {f"k{n}": "v" for n in range(300)}),
)
BODIES = (
    *(
        b"",
        b" ",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b'{"name"',
        b'{"name": ',
        b'{"name": "a"',
        b"}",
        b"{}{}",
        b"{'a': 1}",
    ),
    *(b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"name": "\xff"}', b'{"name": "\\ud800"}', b'{"\\u0000": 1}', b"\0" * 100),
    *(b'{"name": "a", "name": 1}', b'{"maxResults": 1e400}', b'{"maxResults": ' + b"9" * 5_000 + b"}", b'{"a": NaN}'),
    *(b"[" * 200_000, b'{"a":' * 100_000, b"[" * 900_000, b'{"tags": [' + b'{"tagKey": "k", "tagValue": "v"},' * 5_000),
    *(b'{"name": "' + b"a" * 900_000 + b'"}', b"<xml/>", b"a=b&c=d", b"{" + b'"x": 1,' * 50_000 + b'"y": 2}'),
)
AUTHORIZATIONS = (
    *(
        "",
        " ",
        "Basic YTpi",
        "Bearer x",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=",
        "AWS4-HMAC-SHA256 Credential=a",
    ),
    *(
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=, Signature=",
        "AWS4-HMAC-SHA256 Signature=0",
        "Signature=" * 500,
    ),
    *(
        "AWS4-HMAC-SHA256 " + "Credential=a/b/c/d/e," * 500,
        "AWS4-HMAC-SHA256 Credential=é/20260101/us-east-1/personalize/x",
    ),
    "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=host;x-amz-date;;;, Signature=é",
)
DATES = (
    "",
    "x",
    "20260131",
    "20261399T996199Z",
    "2026-01-31T00:00:00Z",
    "00000000T000000Z",
    "99991231T235959Z",
    "٢" * 16,
)


def bodies(service: str, operation: str, base: dict[str, Any]) -> Iterator[bytes]:
    """`base` with each member of the operation's input, those inside lists and structures too, replaced in turn."""
    shape = models.service_model(service).operation_model(operation).input_shape
    for path in _places(shape, ()) if shape is not None else ():
        for value in (*STRINGS, *OTHERS):
            # json, not orjson: it writes what is no JSON, and escapes half a surrogate pair.
            yield json.dumps(_replaced(base, path, value)).encode()


def _places(shape: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if shape.type_name == "structure" and len(path) < 8:
        for name, member in shape.members.items():
            yield from _places(member, (*path, name))
    elif shape.type_name == "list":
        yield from _places(shape.member, (*path, 0))
    elif shape.type_name == "map":
        yield from _places(shape.value, (*path, "key"))


def _replaced(base: Any, path: tuple[str | int, ...], value: Any) -> Any:
    step, *rest = path
    inner = value
    if isinstance(step, int):
        there = base if isinstance(base, list) and base else [None]
        if rest:
            inner = _replaced(there[0], tuple(rest), value)
        return [inner, *there[1:]]
    there = copy.copy(base) if isinstance(base, dict) else {}
    if rest:
        inner = _replaced(there.get(step), tuple(rest), value)
    return {**there, step: inner}


def check_typed(status: int, content: bytes, sent: Any) -> None:
    """The answer is that of an operation, or an error with code and message, and no defect of ours."""
    assert status < 500, (status, content[:500], str(sent)[:500])
    assert b"Traceback" not in content, (content[:2000], str(sent)[:500])
    if status != 200 and content:
        doc = json.loads(content)
        assert doc["__type"] and doc["message"], (doc, str(sent)[:500])
        assert len(content) < 100_000, f"an error of {len(content)} bytes for {str(sent)[:500]}"


def attacks(head: Callable[..., list[str]], body: bytes) -> Iterator[tuple[str, bytes]]:
    """(what, bytes of a request); `head` gives the lines of a signed request of `body`, the first its request line."""
    first, *lines = head()
    good = [first, *lines, f"Content-Length: {len(body)}"]

    def made(*changed: str | bytes, end: bytes = body) -> bytes:
        return (
            b"\r\n".join(one if isinstance(one, bytes) else one.encode("latin-1", "replace") for one in changed)
            + b"\r\n\r\n"
            + end
        )

    without = {
        name: [line for line in good if not line.lower().startswith(name)]
        for name in ("host", "authorization", "x-amz-date")
    }
    for name, left in without.items():
        yield f"without {name}", made(*left)
    for line in good[1:]:
        yield f"twice {line[:20]}", made(*good, line)
    for value in AUTHORIZATIONS:
        yield f"authorization {value[:40]!r}", made(*without["authorization"], f"Authorization: {value}".encode())
    for value in DATES:
        yield f"date {value!r}", made(*without["x-amz-date"], f"X-Amz-Date: {value}".encode())
    for value in (b"\xff\xfe", "é".encode(), b"a\tb", b"x" * 30_000, b""):
        yield f"header {value[:10]!r}", made(*good, b"X-Odd: " + value)
        yield f"target {value[:10]!r}", made(*good, b"X-Amz-Target: " + value)
        yield f"type {value[:10]!r}", made(*good, b"Content-Type: " + value)
    yield "many headers", made(*good, *(f"X-{n}: {n}" for n in range(90)))
    yield "a header without colon", made(*good, "Nonsense")
    yield "a name with a space", made(*good, "Odd Name: x")
    yield "a folded header", made(*good, "X-Folded: a\r\n b")
    for length in ("-1", "x", "1e3", "9" * 30, "", "0", "1", str(len(body) + 1_000)):
        yield f"content-length {length}", made(first, *lines, f"Content-Length: {length}")
    for chunks in (
        b"0\r\n\r\n",
        b"2\r\n{}\r\n0\r\n\r\n",
        b"zz\r\n{}\r\n",
        b"ffffffffffffffffff\r\n{}",
        b"-1\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}",
    ):
        yield f"chunked {chunks!r}", made(first, *lines, "Transfer-Encoding: chunked", end=chunks)
    yield "chunked with a length", made(*good, "Transfer-Encoding: chunked", end=b"0\r\n\r\n")
    yield "an unknown coding", made(first, *lines, "Transfer-Encoding: gzip", end=body)
    yield "100-continue", made(*good, "Expect: 100-continue")
    yield "20 MB", made(first, *lines, f"Content-Length: {20 << 20}", end=b" " * (20 << 20))
    yield (
        "20 MB in chunks",
        made(
            first,
            *lines,
            "Transfer-Encoding: chunked",
            end=b"100000\r\n"
            + b" " * (1 << 20)
            + b"\r\n"
            + (b"100000\r\n" + b" " * (1 << 20) + b"\r\n") * 19
            + b"0\r\n\r\n",
        ),
    )
    for method in (
        "GET",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "HEAD",
        "TRACE",
        "CONNECT",
        "BREW",
        "post",
        "P" * 300,
        "",
        "\xe9",
    ):
        yield f"method {method[:10]}", made(first.replace("POST", method, 1), *good[1:])
    _, path, _ = first.split(" ")
    for odd in (
        "//",
        "/../..",
        "/%",
        "/%zz",
        "/%00",
        "/\xff",
        "/é",
        "*",
        "http://a/",
        "/" + "a" * 60_000,
        "/?" + "a=b&" * 2_000,
        "/#x",
        "/;",
        "",
    ):
        yield f"path {odd[:10]}", made(first.replace(f" {path} ", f" {odd} ", 1), *good[1:])
    for version in ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "XTTP/1.1", ""):
        yield f"version {version}", made(first.replace("HTTP/1.1", version), *good[1:])
    yield "noise", bytes(range(256)) * 8
    yield "tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500
    yield "an empty line", b"\r\n\r\n"
    yield "half a request", made(*good)[:60]


def exchange(port: int, sent: bytes) -> bytes:
    """The first answer, or nothing when the connection is closed; AssertionError when neither happens.

    A server that waits for the rest of a request hangs only if it goes on to wait when our side has been closed.
    """
    got = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        try:
            connection.sendall(sent)
            while not is_whole(got, sent) and (part := _received(connection)):
                got += part
        except (ConnectionResetError, BrokenPipeError):
            pass  # it has answered, or hung up, before it had read everything
        except TimeoutError:
            raise AssertionError(f"no answer and no end after {SECONDS} s: {sent[:200]!r}, {got[:200]!r}") from None
    return got


def _received(connection: socket.socket) -> bytes:
    connection.settimeout(PATIENCE)
    try:
        return connection.recv(65536)
    except TimeoutError:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(SECONDS)
        return connection.recv(65536)


def is_whole(got: bytes, sent: bytes) -> bool:
    """Whether an answer is all there."""
    head, found, content = got.partition(b"\r\n\r\n")
    if found and head.split(b" ", 2)[1] == b"100":
        return is_whole(content, sent)
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if not found or not lengths:
        return False
    return sent.startswith(b"HEAD ") or len(content) >= int(lengths[0][15:])


def check_wire(what: str, got: bytes) -> None:
    """Nothing, or answers of which none is a defect: typed, or the HTTP server's own words about what is no HTTP."""
    if got.startswith(b"HTTP/1.1 100"):
        _, _, got = got.partition(b"\r\n\r\n")
    if not got:
        return
    head, _, content = got.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    assert status < 500, (what, got[:500])
    assert b"Traceback" not in got, (what, got[:2000])
    if b"x-amzn-requestid" in head.lower() and status != 200 and content:
        assert b'"__type"' in content and b'"message"' in content, (what, got[:500])
