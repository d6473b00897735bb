"""Tables as people have them: what is guessed, what is changed on the way in, what cannot be guessed and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.control import avro
from pipelines.datasets import converting, guessing, sampling
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.guessing import Guess
from pipelines.datasets.source import SourceFile

PLOT = "A long story about somebody who goes out into the world to find what was at home all along and told twice."


def file_of(folder: Path, content: str | bytes, name: str = "data.csv") -> SourceFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return SourceFile(name, path, path.stat().st_size)


def guessed(file: SourceFile, wanted: Any = None) -> Guess:
    with duckdb.connect() as connection:
        header = sampling.load(connection, file)
        return guessing.guess(connection, file, header, wanted or guessing.dataset_type_of(file, header))


def shown(found: Guess) -> str:
    """`USER_ID string, AGE long?, GENRES string? categorical`."""
    fields = []
    for field in found.avro["fields"]:
        kind = field["type"] if isinstance(field["type"], str) else f"{field['type'][1]}?"
        marks = [mark for mark in ("categorical", "textual", "itemName") if field.get(mark)]
        fields.append(" ".join([field["name"], kind, *marks]))
    return ", ".join(fields)


EVENT = "USER_ID string, ITEM_ID string, TIMESTAMP long"
HEADS = [
    ("plain.csv", "USER_ID,ITEM_ID,TIMESTAMP\n1,2,1600000000\n", "INTERACTIONS", EVENT, []),
    ("lower.csv", "user_id,item_id,timestamp\n1,2,1600000000\n", "INTERACTIONS", EVENT, []),
    (
        "ratings.csv",
        "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n1,1029,3.0,1260759179\n",
        "INTERACTIONS",
        f"{EVENT}, EVENT_VALUE float?",
        ["userId -> USER_ID", "movieId -> ITEM_ID", "rating -> EVENT_VALUE"],
    ),
    (
        "2019-Oct.csv",
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde\n"
        "2019-10-01 00:00:01 UTC,view,3900821,2053013552326770905,appliances.water,aqua,33.20,554748717,9333dfbd\n",
        "INTERACTIONS",
        f"{EVENT}, EVENT_TYPE string?, CATEGORY_ID string? categorical, CATEGORY_CODE string? categorical, "
        "BRAND string? categorical, PRICE float?, USER_SESSION string? categorical",
        [
            "event_time -> TIMESTAMP: dates, such as 2019-10-01 00:00:00 UTC, become epoch seconds",
            "product_id -> ITEM_ID",
        ],
    ),
    (
        "events.csv",
        "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n1433224214164,992329,view,2,9\n",
        "INTERACTIONS",
        f"{EVENT}, EVENT_TYPE string?, TRANSACTIONID string? categorical",
        [
            "timestamp -> TIMESTAMP: milliseconds, such as 1433221332117, become epoch seconds",
            "visitorid -> USER_ID",
            "event -> EVENT_TYPE",
            "itemid -> ITEM_ID",
        ],
    ),
    (
        "reviews.csv",
        "reviewerID,asin,overall,unixReviewTime\nA2M1,B00,5,1400000000\n",
        "INTERACTIONS",
        f"{EVENT}, EVENT_VALUE float?",
        ["reviewerID -> USER_ID", "asin -> ITEM_ID", "overall -> EVENT_VALUE", "unixReviewTime -> TIMESTAMP"],
    ),
    (
        "spaces.csv",
        "User ID,Item ID,Event Time\n1,2,2020-01-31T18:00:00+02:00\n",
        "INTERACTIONS",
        EVENT,
        [
            "User ID -> USER_ID",
            "Item ID -> ITEM_ID",
            "Event Time -> TIMESTAMP: dates, such as 2020-01-31T18:00:00+02:00, become epoch seconds",
        ],
    ),
    (
        "floats.csv",
        "customer,product,ts\nc1,p1,1600000000.25\n",
        "INTERACTIONS",
        EVENT,
        [
            "customer -> USER_ID",
            "product -> ITEM_ID",
            "ts -> TIMESTAMP: fractions of seconds, such as 1600000000.25, become epoch seconds",
        ],
    ),
    (
        "context.csv",
        "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,IMPRESSION,DEVICE,logged_in\n1,2,1600000000,click,2|3,phone,true\n",
        "INTERACTIONS",
        f"{EVENT}, EVENT_TYPE string?, IMPRESSION string?, DEVICE string? categorical, LOGGED_IN boolean?",
        [],
    ),
    ("bom.csv", b"\xef\xbb\xbfuser_id,item_id,timestamp\n1,2,1600000000\n", "INTERACTIONS", EVENT, []),
    ("quoted.csv", '"user_id","item_id","timestamp"\n"a,b","2",1600000000\n', "INTERACTIONS", EVENT, []),
    ("crlf.csv", "user_id,item_id,timestamp\r\n1,2,1600000000\r\n", "INTERACTIONS", EVENT, []),
    (
        "movies.csv",
        "movieId,title,genres\n1,Toy Story (1995),Adventure|Animation\n2,Jumanji (1995),Adventure\n",
        "ITEMS",
        "ITEM_ID string, TITLE string? itemName, GENRES string? categorical",
        ["movieId -> ITEM_ID"],
    ),
    (
        "products.csv",
        f"id,name,description,unitPrice,inStock,createdAt\np1,Lamp,{PLOT},9.90,TRUE,1600000000\np2,Chair,{PLOT}!,49,false,\n",
        "ITEMS",
        "ITEM_ID string, CREATION_TIMESTAMP long?, NAME string? itemName, DESCRIPTION string? textual, "
        "UNIT_PRICE float?, IN_STOCK boolean?",
        ["id -> ITEM_ID", "unitPrice -> UNIT_PRICE", "inStock -> IN_STOCK", "createdAt -> CREATION_TIMESTAMP"],
    ),
    (
        "films.csv",
        "item_id,release_date,year\n1,01-Jan-1995,1995\n2,02-Jan-1996,1996\n",
        "ITEMS",
        "ITEM_ID string, RELEASE_DATE string? categorical, YEAR long?",
        [],
    ),
    (
        "books.csv",
        "ISBN,Book-Title,Year-Of-Publication,Publisher\n034545104X,Flesh Tones,2002,Ballantine\n",
        "ITEMS",
        "ITEM_ID string, BOOK_TITLE string? categorical, YEAR_OF_PUBLICATION long?, PUBLISHER string? categorical",
        ["ISBN -> ITEM_ID", "Book-Title -> BOOK_TITLE", "Year-Of-Publication -> YEAR_OF_PUBLICATION"],
    ),
    (
        "users.csv",
        "user_id,age,gender,occupation,zip_code\n1,24,M,technician,85711\n2,53,F,other,94043\n",
        "USERS",
        "USER_ID string, AGE long?, GENDER string? categorical, OCCUPATION string? categorical, ZIP_CODE string? categorical",
        [],
    ),
    (
        "customers.csv",
        "id,plan,notes\nc1,free,\nc2,pro,\n",
        "USERS",
        "USER_ID string, PLAN string? categorical",
        ["id -> USER_ID"],
    ),
    (
        "offers.csv",
        "action_id,value,repeat_frequency,kind\na1,2.5,30,coupon\n",
        "ACTIONS",
        "ACTION_ID string, VALUE float?, REPEAT_FREQUENCY int?, KIND string? categorical",
        [],
    ),
    (
        "taken.csv",
        "user_id,action_id,timestamp,event_type\nu,a,1600000000,TAKEN\n",
        "ACTION_INTERACTIONS",
        "USER_ID string, ACTION_ID string, TIMESTAMP long, EVENT_TYPE string",
        [],
    ),
    (
        "many.csv",
        "user_id,item_id,timestamp,a,b,c,d,e,f,!,a_\n1,2,1600000000,1,2,3,4,5,6,7,8\n",
        "INTERACTIONS",
        f"{EVENT}, A long?, B long?, C long?, D long?, E long?",
        [],
    ),
]


@pytest.mark.parametrize(("name", "content", "kind", "fields", "changes"), HEADS, ids=[head[0] for head in HEADS])
def test_a_table_is_guessed(
    tmp_path: Path, name: str, content: Any, kind: str, fields: str, changes: list[str]
) -> None:
    found = guessed(file_of(tmp_path, content, name))
    assert (found.dataset_type, shown(found)) == (kind, fields)
    assert [str(change) for change in found.changes] == changes
    avro.check(json.dumps(found.avro), None)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    found = guessed(file_of(tmp_path, HEADS[-1][1]))
    assert found.notes == (
        "column 'f' is left out: a schema of INTERACTIONS takes 5 columns of its own",
        "column '!' is left out: its name has no letters or digits",
        "column 'a_' is left out: its name would be that of A",
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", "colour,size\nred,3\n", "no column says what a row is about. Its columns are colour, size"),
        ("x.csv", "id,size\nred,3\n", "--type must say what the table holds"),
        ("x.csv", "user_id,item_id\n1,2\n", "a table of INTERACTIONS needs a column TIMESTAMP"),
        ("x.csv", "user_id;item_id;timestamp\n1;2;3\n", "separated by semicolons, but must be by commas"),
        ("x.tsv", "user_id\titem_id\ttimestamp\n1\t2\t3\n", "separated by tabs"),
        ("x.csv", "196,242,3,881250949\n186,302,3,891717742\n", "line 1 holds numbers, no names"),
        ("x.csv", "user_id,item_id,timestamp\n", "has a header but no row"),
        ("x.csv", "user_id,user_id,item_id\n1,2,3\n", "names column 'user_id' twice"),
        ("x.csv", "user_id,item_id,date\n1,2,12/31/2019\n", "column date, TIMESTAMP in the schema, holds '12/31/2019'"),
        ("x.csv", b"user_id,it\xe9m_id,timestamp\n1,2,3\n", "line 1 is not UTF-8"),
        ("x.csv", "", "names one column only"),
        ("x.csv", "user_id,action_id,timestamp\n1,2,3\n", "ACTION_INTERACTIONS needs a column EVENT_TYPE"),
    ],
)
def test_what_cannot_be_guessed_is_refused_with_what_to_do(tmp_path: Path, name: str, content: Any, said: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        guessed(file_of(tmp_path, content, name))
    assert said in str(refused.value)


@pytest.mark.parametrize("odd", ["soon", "N/A"])
def test_one_wrong_value_among_hundreds_changes_no_guess(tmp_path: Path, odd: str) -> None:
    rows = [f"{n},{n % 7},2020-01-01 10:00:{n % 60:02},{n}" for n in range(400)]
    found = guessed(file_of(tmp_path, "\n".join(["user_id,item_id,timestamp,dwell", f"u,i,{odd},{odd}", *rows])))
    assert shown(found) == f"{EVENT}, DWELL long?"
    assert [change.moments for change in found.changes] == ["dates"]


def test_a_single_fraction_makes_a_column_of_fractions(tmp_path: Path) -> None:
    rows = [f"{n},{n}" for n in range(400)]
    assert "PRICE float?" in shown(guessed(file_of(tmp_path, "\n".join(["item_id,price", *rows, "x,0.5"]))))


def test_the_type_can_be_said(tmp_path: Path) -> None:
    assert guessed(file_of(tmp_path, "id,size\nred,3\n"), "ITEMS").dataset_type == "ITEMS"


def test_parquet_is_guessed_like_csv(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 1 AS userId, 'x' AS item_id, TIMESTAMP '2020-01-01 10:00:00' AS event_time, 2.5::FLOAT AS rating) "
            f"TO '{tmp_path}/p.parquet' (FORMAT parquet)"
        )
    found = guessed(SourceFile("p.parquet", tmp_path / "p.parquet", 1))
    assert shown(found) == f"{EVENT}, EVENT_VALUE float?"
    assert [str(change) for change in found.changes][1].startswith("event_time -> TIMESTAMP: dates, such as 2020-01-01")


def copied(folder: Path, *files: SourceFile) -> list[SourceFile]:
    (folder / "out").mkdir()
    found = guessed(files[0])
    with duckdb.connect() as connection:
        return converting.convert(connection, files, found.changes, folder / "out")


def test_a_copy_with_other_names_is_the_file_but_for_its_first_line(tmp_path: Path) -> None:
    rest = 'u1,"a ""b""",1600000000\r\n\n"broken,2,x\n'
    [copy] = copied(tmp_path, file_of(tmp_path, "userId,item,ts\n" + rest))
    assert copy.path.read_bytes() == b"USER_ID,ITEM_ID,TIMESTAMP\n" + rest.encode()


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("1600000000999", "1600000000"),
        ("1600000000123456789", "1600000000"),
        ("1600000000.75", "1600000000"),
        ("2020-09-13 12:26:40 UTC", "1600000000"),
        ("2020-09-13T14:26:40+02:00", "1600000000"),
        ("2020-09-13", "1599955200"),
    ],
)
def test_moments_become_epoch_seconds(tmp_path: Path, moment: str, seconds: str) -> None:
    content = f'user_id,item_id,timestamp,note\n1,a,{moment},"x, y"\n2,b,,\n3,c,soon,z\n'
    [copy] = copied(tmp_path, file_of(tmp_path, content.replace("soon", moment)))
    assert copy.path.read_text().splitlines()[1] == f'1,a,{seconds},"x, y"'
    assert len(copy.path.read_text().splitlines()) == 4


def test_a_moment_that_cannot_be_read_stays_to_be_rejected_by_line(tmp_path: Path) -> None:
    content = "user_id,item_id,timestamp\n1,a,2020-01-01\n2,b,soon\n" + "3,c,2020-01-02\n" * 200
    [copy] = copied(tmp_path, file_of(tmp_path, content))
    assert copy.path.read_text().splitlines()[2] == "2,b,soon"


def test_a_settled_schema_finds_its_columns_whatever_they_are_called(tmp_path: Path) -> None:
    schema = guessed(file_of(tmp_path, "item_id,unit_price,TITLE\n1,2.5,x\n")).avro
    file = file_of(tmp_path, "movieId,unitPrice,title,colour\n1,2.5,x,red\n", "other.csv")
    with duckdb.connect() as connection:
        found = guessing.by_schema(connection, sampling.load(connection, file), schema, "ITEMS")
    assert found.columns == {"ITEM_ID": "movieId", "TITLE": "title", "UNIT_PRICE": "unitPrice"}
    assert [str(change) for change in found.changes] == ["movieId -> ITEM_ID", "unitPrice -> UNIT_PRICE"]
    assert found.notes == ("column 'colour' is left out: the schema has no field for it",)
