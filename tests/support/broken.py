"""A catalogue of what is wrong with the files that people import, each at a random place, with the right verdict.

A draft is a CSV file in records; defects change records or the finished bytes and note what must come of it. Lines are
counted when all defects are in, since one may move the lines of another.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tests.support.imports import NULLABLE_STRING, avro

COLUMNS = ["USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE", "COUNT", "PRICE", "ACTIVE", "GENRE", "NOTE"]
SCHEMA = avro(
    "Interactions",
    USER_ID="string",
    ITEM_ID="string",
    TIMESTAMP="long",
    EVENT_TYPE="string",
    EVENT_VALUE=["null", "float"],
    COUNT=["null", "int"],
    PRICE=["null", "double"],
    ACTIVE=["null", "boolean"],
    GENRE={"type": NULLABLE_STRING, "categorical": True},
    NOTE=NULLABLE_STRING,
)
NOT_WHOLE, NOT_FINITE = "not a whole number", "not a finite number"


@dataclass
class Record:
    """One record of a file, perhaps over several lines, perhaps none of the data's."""

    text: bytes
    is_row: bool = True
    rejected: list[tuple[str | None, str]] = field(default_factory=list)
    """Column and words of the reason, for each reject that must be listed."""
    refused: str | None = None
    """Words with which the whole import must be refused; `{line}` stands for the record's line."""


@dataclass
class Draft:
    """A file in the making."""

    name: str
    records: list[Record]
    header: bytes = ",".join(COLUMNS).encode()
    finish: list[Callable[[bytes], bytes]] = field(default_factory=list)
    """What happens to the bytes, in this order."""
    refused: list[str] = field(default_factory=list)
    moved: int = 0
    """Lines by which the finishing moves all records down."""
    beside: dict[str, bytes] = field(default_factory=dict)
    """Other files that lie there and must not be read."""

    def content(self) -> bytes:
        """The file's bytes."""
        content = b"\n".join([self.header, *(record.text for record in self.records)]) + b"\n"
        for change in self.finish:
            content = change(content)
        return content

    def placed(self) -> list[tuple[int, Record]]:
        """Each record with its first line."""
        line, found = 2 + self.moved, []
        for record in self.records:
            found.append((line, record))
            line += 1 + record.text.count(b"\n")
        return found

    def refusals(self) -> list[str]:
        """Words with which this file may be refused, one for each defect that refuses it."""
        of_records = [record.refused.format(line=line) for line, record in self.placed() if record.refused]
        return [*self.refused, *of_records]

    def rejects(self) -> list[tuple[str, int, str | None, str]]:
        """File, line, column and words of every reject."""
        return [(self.name, line, column, words) for line, record in self.placed() for column, words in record.rejected]


def draft(name: str, rng: random.Random, rows: int = 30) -> Draft:
    """A good file."""
    return Draft(name, [Record(b",".join(_cells(rng))) for _ in range(rows)])


def _cells(rng: random.Random) -> list[bytes]:
    text = (
        f"u{rng.randrange(50)}|i{rng.randrange(50)}|{rng.randrange(1_500_000_000, 1_600_000_000)}|{rng.choice(('watch', 'click'))}|"
        f"{rng.randrange(9)}|{rng.randrange(99)}|{rng.random():.3f}|{rng.choice(('true', 'false'))}|Drama|caf\u00e9 {rng.randrange(99)}"
    )
    return text.encode().split(b"|")


Defect = Callable[[Draft, random.Random], None]


def _sound(target: Draft, rng: random.Random) -> Record:
    """A record that no other defect has changed."""
    good = [r for r in target.records if r.is_row and not r.rejected and not r.refused and b'"' not in r.text]
    return rng.choice(good[1:-1])


def cell(column: str, value: str, words: str) -> Defect:
    """A wrong value in one cell."""

    def spoil(target: Draft, rng: random.Random) -> None:
        record = _sound(target, rng)
        cells = record.text.split(b",")
        cells[COLUMNS.index(column)] = value.encode()
        record.text, record.rejected = b",".join(cells), [(column, words)]

    return spoil


def row(change: Callable[[bytes], bytes], *rejected: tuple[str | None, str], refused: str | None = None) -> Defect:
    """A row whose text is changed; the row is kept when nothing is said to come of it."""

    def spoil(target: Draft, rng: random.Random) -> None:
        record = _sound(target, rng)
        record.text, record.rejected, record.refused = change(record.text), list(rejected), refused

    return spoil


def whole(change: Callable[[bytes], bytes], refused: str | None = None, moved: int = 0) -> Defect:
    """A file whose finished bytes are changed."""

    def spoil(target: Draft, _: random.Random) -> None:
        target.finish.append(change)
        target.refused += [refused] if refused else []
        target.moved += moved

    return spoil


def header(change: Callable[[bytes], bytes], refused: str | None = None, moved: int = 0) -> Defect:
    """A file with another header."""

    def spoil(target: Draft, _: random.Random) -> None:
        target.header = change(target.header)
        target.refused += [refused] if refused else []
        target.moved += moved

    return spoil


def _blank_line(target: Draft, rng: random.Random) -> None:
    target.records.insert(rng.randrange(len(target.records)), Record(b"", is_row=False))


def _repeated_row(target: Draft, rng: random.Random) -> None:
    target.records.append(Record(_sound(target, rng).text))


def _cut_last_line(target: Draft, _: random.Random) -> None:
    cells = target.records[-1].text.split(b",")[:4]
    target.records[-1] = Record(b",".join(cells), rejected=[(None, "has 4 values, but the header names 10 columns")])
    target.finish.append(lambda content: content[:-1])


def _only_header(target: Draft, _: random.Random) -> None:
    target.records.clear()


def _markers(target: Draft, _: random.Random) -> None:
    for name in ("_SUCCESS", f".{target.name}.crc", "_temporary/0.csv", "__MACOSX/._a.csv", f".hidden/{target.name}"):
        target.beside[name] = b"\0 no data"


def _parquet(content: bytes) -> bytes:
    cells = pa.csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()))
    out = io.BytesIO()
    pq.write_table(pa.csv.read_csv(io.BytesIO(content), convert_options=cells), out, row_group_size=7)
    return out.getvalue()


def _parquet_of_moments(content: bytes) -> bytes:
    table = pq.read_table(io.BytesIO(_parquet(content)))
    moments = table["TIMESTAMP"].cast(pa.int64()).cast(pa.timestamp("s"))
    out = io.BytesIO()
    pq.write_table(table.set_column(2, "TIMESTAMP", moments), out)
    return out.getvalue()


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", content)
    return out.getvalue()


def _with(index: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(text: bytes) -> bytes:
        cells = text.split(b",")
        cells[index] = change(cells[index])
        return b",".join(cells)

    return changed


HEADER = ",".join(COLUMNS).encode()
IN_A_ROW: dict[str, Defect] = {
    "words in an int": cell("COUNT", "many", NOT_WHOLE),
    "words in a long": cell("TIMESTAMP", "yesterday", NOT_WHOLE),
    "words in a float": cell("EVENT_VALUE", "much", NOT_FINITE),
    "words in a double": cell("PRICE", "free", NOT_FINITE),
    "words in a boolean": cell("ACTIVE", "perhaps", "neither true nor false"),
    "a fraction in an int": cell("COUNT", "1.5", NOT_WHOLE),
    "a date in a long": cell("TIMESTAMP", "2020-01-01 00:00", NOT_WHOLE),
    "an int of 33 bits": cell("COUNT", "4294967296", NOT_WHOLE),
    "a long of 65 bits": cell("TIMESTAMP", "36893488147419103232", NOT_WHOLE),
    "a float beyond floats": cell("EVENT_VALUE", "1e39", NOT_FINITE),
    "NaN": cell("EVENT_VALUE", "NaN", NOT_FINITE),
    "infinity": cell("PRICE", "-inf", NOT_FINITE),
    "a decimal comma": cell("PRICE", '"9,99"', NOT_FINITE),
    "milliseconds": cell("TIMESTAMP", "1500000000000", "looks like milliseconds"),
    "the second 0": cell("TIMESTAMP", "0", "before 1970"),
    "a negative second": cell("TIMESTAMP", "-1500000000", "before 1970"),
    "a far future": cell("TIMESTAMP", "33000000000", "after the year 2100"),
    "no user": cell("USER_ID", "", "is empty"),
    "no moment": cell("TIMESTAMP", "", "is empty"),
    "an id of 257 characters": cell("ITEM_ID", "\u6620" * 257, "longer than 256"),
    "an id over two lines": cell("ITEM_ID", '"i\n7"', "holds a line break"),
    "an event type of 257 characters": cell("EVENT_TYPE", "w" * 257, "longer than 256"),
    "a string of 1,001 characters": cell("NOTE", "n" * 1001, "longer than 1,000"),
    "a category of 1,001 characters": cell("GENRE", "g|" * 500 + "g", "a categorical field may not be"),
    "a row cut short": row(lambda text: text.rsplit(b",", 3)[0], (None, "has 7 values, but the header names 10")),
    "a row with more": row(lambda text: text + b",more,and more", (None, "has 12 values, but the header names 10")),
    "a row of semicolons": row(lambda text: text.replace(b",", b";"), (None, "has 1 values, but the header names 10")),
    "text behind a quote": row(_with(1, lambda c: b'"' + c + b'"s'), ("ITEM_ID", "text behind a closing quote")),
    "a line of 3 MB": row(_with(9, lambda c: b"n" * 3_000_000), (None, "longer than 2 MiB")),
    "the header once more": row(
        lambda _: HEADER,
        ("TIMESTAMP", NOT_WHOLE), ("EVENT_VALUE", NOT_FINITE), ("COUNT", NOT_WHOLE), ("PRICE", NOT_FINITE), ("ACTIVE", "neither true nor false"),
    ),
    "a carriage return in an id": row(_with(0, lambda c: c + b"\rx"), ("USER_ID", "holds a line break")),
    "a blank line": _blank_line,
    "a row twice": _repeated_row,
    "a note over three lines": row(_with(9, lambda c: b'"one\n\nthree"')),
    "quotes in quotes": row(_with(9, lambda c: b'"say ""hi"", now"')),
    "another line end": row(lambda text: text + b"\r"),
    "a quote not closed": row(_with(1, lambda c: b'"' + c), refused='line {line}: a quote (")'),
    "a byte of Latin-1": row(_with(1, lambda c: c + b"\xe9"), refused="line {line}, byte "),
    "a NUL": row(_with(1, lambda c: c + b"\0"), refused="line {line} holds a NUL byte"),
}  # fmt: skip
OF_A_FILE: dict[str, Defect] = {
    "a byte order mark": whole(lambda content: b"\xef\xbb\xbf" + content),
    "line ends of Windows": whole(lambda content: content.replace(b"\n", b"\r\n")),
    "line ends of an old Mac": whole(lambda content: content.replace(b"\n", b"\r")),
    "no last line end": whole(lambda content: content[:-1]),
    "a last line cut off": _cut_last_line,
    "gzip": whole(gzip.compress),
    "Parquet": whole(_parquet),
    "only a header": _only_header,
    "markers beside": _markers,
    "another case, quotes and spaces in the header": header(
        lambda text: b", ".join(b'"' + n + b'"' for n in text.lower().split(b","))
    ),
    "a column missing": header(lambda text: text.replace(b"ITEM_ID", b"ITEM"), "missing the following columns:[ITEM_ID]"),
    "a column twice": header(lambda text: text.replace(b"NOTE", b"Item_Id"), "missing the following columns:[NOTE]"),
    "a column named twice beside": header(lambda text: text + b",item_id", "line 1 names column ITEM_ID twice"),
    "no header": whole(lambda content: content.partition(b"\n")[2], "missing the following columns", moved=-1),
    "an empty first line": whole(lambda content: b"\n" + content, "line 1 is empty", moved=1),
    "a line break in the header": header(lambda text: text.replace(b"NOTE", b'"NO\nTE"'), "missing the following columns:[NOTE]", moved=1),
    "semicolons": whole(lambda content: content.replace(b",", b";"), "separated by semicolons"),
    "tabs": whole(lambda content: content.replace(b",", b"\t"), "separated by tabs"),
    "bars": whole(lambda content: content.replace(b",", b"|"), "separated by bars"),
    "an empty file": whole(lambda _: b"", "is empty: it needs a header line"),
    "UTF-16": whole(lambda _: HEADER.decode().encode("utf-16"), "is UTF-16 text"),
    "UTF-16 without a mark": whole(lambda _: HEADER.decode().encode("utf-16-le"), "line 1 holds a NUL byte"),
    "cut inside a character": whole(lambda content: content + b"u1,i1,1500000000,caf\xc3", "ends in the middle of a UTF-8 character"),
    "gzip cut short": whole(lambda content: gzip.compress(content)[:-20], "not a whole gzip file"),
    "gzip with a wrong byte": whole(lambda content: gzip.compress(content)[:-8] + b"\0" * 8, "not a whole gzip file"),
    "gzip twice": whole(lambda content: gzip.compress(gzip.compress(content)), "packed twice"),
    "zip": whole(_zip, "ZIP or Excel"),
    "bzip2": whole(bz2.compress, "packed with bzip2"),
    "xz": whole(lzma.compress, "packed with xz"),
    "zstd": whole(lambda content: b"\x28\xb5\x2f\xfd" + content, "packed with zstd"),
    "Parquet cut short": whole(lambda content: _parquet(content)[:-40], "not a whole Parquet file"),
    "Parquet of moments": whole(_parquet_of_moments, "column TIMESTAMP holds values of type timestamp"),
    "an image": whole(lambda _: b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "holds a NUL byte"),
}  # fmt: skip
