from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from rekt.errors import LedgerError
from rekt.stores.sqlite import Ledger, Reader, schema
from tests.stores.events import batch, event, events


def made(path: Path, count: int = 500) -> Path:
    """A ledger with events, closed."""
    ledger = Ledger(path)
    ledger.append(batch(*events(count)))
    ledger.close()
    return path


def newer(path: Path) -> None:
    """Of a version to come."""
    made(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def foreign(path: Path) -> None:
    """Somebody else's database."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs(x)")
    connection.close()


def damaged(path: Path) -> None:
    """Some pages overwritten."""
    made(path)
    content = bytearray(path.read_bytes())
    content[8192:20_000] = b"\x5a" * (20_000 - 8192)
    path.write_bytes(content)


def cut(path: Path) -> None:
    """The end is missing."""
    made(path)
    path.write_bytes(path.read_bytes()[:20_480])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (newer, "newer version"),
        (foreign, "not a ledger of ours"),
        (damaged, "is damaged"),
        (cut, "is damaged"),
        (lambda path: path.write_bytes(b"PAIR,PRICE\n" * 999), "not an SQLite file"),
        (lambda path: path.write_text("x"), "not an SQLite file"),
    ],
    ids=["newer", "foreign", "damaged", "cut short", "text", "one byte"],
)
def test_refuses_what_is_no_ledger_and_leaves_it(tmp_path: Path, spoil: object, words: str) -> None:
    """The refusal says the way out; the file is untouched byte for byte, and nothing lies beside it."""
    path = tmp_path / "ledger.db"
    spoil(path)  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=words) as caught:
        Ledger(path)
    assert caught.value.hint
    assert not caught.value.retryable
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("spoil", [newer, foreign, lambda path: path.write_text("x")])
def test_a_reader_refuses_the_same(tmp_path: Path, spoil: object) -> None:
    """A reader leaves a file that is none of ours alone as well."""
    path = tmp_path / "ledger.db"
    spoil(path)  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(LedgerError):
        Reader(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_ledger_with_a_log_is_left_alone(tmp_path: Path) -> None:
    """After a kill the log holds commits: a refusal neither copies it into the file nor throws it away."""
    path = tmp_path / "ledger.db"
    ledger = Ledger(made(path))
    ledger.append(batch(event(9999)))
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("ledger.db", "ledger.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    ledger.close()
    spoilt = bytearray((copy / "ledger.db").read_bytes())
    spoilt[12_288:20_000] = b"\x5a" * (20_000 - 12_288)
    (copy / "ledger.db").write_bytes(spoilt)
    log = (copy / "ledger.db-wal").read_bytes()
    with pytest.raises(LedgerError, match="is damaged"):
        Ledger(copy / "ledger.db")
    assert (copy / "ledger.db").read_bytes() == spoilt
    assert (copy / "ledger.db-wal").read_bytes() == log


def test_a_reader_never_makes_a_ledger(tmp_path: Path) -> None:
    """Where nothing was recorded yet it says so, with the path."""
    with pytest.raises(LedgerError, match=r"nothing is recorded yet.*nowhere/ledger\.db"):
        Reader(tmp_path / "nowhere" / "ledger.db")
    assert list(tmp_path.iterdir()) == []


def test_says_which_folder_can_not_be_made(tmp_path: Path) -> None:
    """A file where the folder should be is told as such, not as a database error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match=r"file/ledger\.db") as caught:
        Ledger(tmp_path / "file" / "ledger.db")
    assert "folder" in str(caught.value)
    with pytest.raises(LedgerError, match="is a folder"):
        Ledger(tmp_path)


def test_makes_the_folder_and_leaves_one_file(tmp_path: Path) -> None:
    """An empty file counts as none; after closing there is the ledger and nothing beside it."""
    path = tmp_path / "new" / "folder" / "ledger.db"
    made(path)
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "empty.db").touch()
    made(tmp_path / "empty.db")
    with Reader(path) as reader:
        assert reader.rows() == 500
    assert list(path.parent.iterdir()) == [path]


def test_is_durable_and_strict(tmp_path: Path) -> None:
    """Write-ahead log, full synchronous, strict tables, and the versions written down."""
    connection = schema.open_writer(tmp_path / "ledger.db")
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("application_id") == schema.APPLICATION_ID
    applied = connection.execute("SELECT version FROM migration ORDER BY version").fetchall()
    assert applied == [(version + 1,) for version in range(len(schema.MIGRATIONS))]
    loose = connection.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND NOT strict")
    assert [name for (name,) in loose if not str(name).startswith("sqlite_")] == []
    connection.close()


def test_a_reader_can_not_write(tmp_path: Path) -> None:
    """Its connection refuses to change anything."""
    with Reader(made(tmp_path / "ledger.db")) as reader, pytest.raises(apsw.ReadOnlyError):
        reader._connection.execute("DELETE FROM liquidation")


def test_brings_an_older_ledger_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing step is done when a writer opens it; a reader says who does it; a failing step leaves the old one."""
    path = made(tmp_path / "ledger.db")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE more(x) STRICT"))
        patch.setattr(schema, "VERSION", schema.VERSION + 1)
        with pytest.raises(LedgerError, match="opening"):  # a strict table wants types: this step fails
            Ledger(path)
    Ledger(path).close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE more(x TEXT) STRICT"))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(LedgerError, match="older version"):
        Reader(path)
    Ledger(path).close()
    with Reader(path) as reader:
        assert reader.rows() == 500
        assert reader.verify() == []


def test_many_processes_make_one_ledger_at_once(tmp_path: Path) -> None:
    """Whoever comes first makes it, the others use it."""
    path = tmp_path / "ledger.db"
    code = "import sys; from pathlib import Path; from rekt.stores.sqlite import Ledger; Ledger(Path(sys.argv[1])).close()"
    source = str(Path(schema.__file__).parents[3])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, path], env={"PYTHONPATH": source}, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    assert [(process.communicate()[1], process.returncode) for process in running] == [(b"", 0)] * 4
    with Reader(path) as reader:
        assert reader.verify() == []


def test_a_file_in_the_middle_of_a_checkpoint_is_no_damage(tmp_path: Path) -> None:
    """Its first page may tell of pages that are in the log alone: while there is a log, it is looked at through that."""
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    with path.open("r+b") as file:  # as a checkpoint leaves it that found the disk full after the first page
        file.seek(28)
        pages = int.from_bytes(file.read(4), "big")
        file.seek(28)
        file.write((pages + 5).to_bytes(4, "big"))
    with pytest.raises(LedgerError, match="damaged"):
        schema._look(path)
    path.with_name("ledger.db-wal").touch()
    assert schema._look(path)
