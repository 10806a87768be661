from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import rekt as package
from rekt.archive.folder import Folder
from rekt.errors import ArchiveError, UsageError
from rekt.fields import DAY, HOUR
from rekt.model import Connection, Span
from rekt.objects import liquidation_object
from rekt.store import Batch, Settled
from rekt.stores.sqlite import Ledger, Reader
from rekt.stores.sqlite.sinks import Marks
from tests.archive.days import DAYS, FIRST, HOSTILE, contents, fill, forge, manifest, rows
from tests.cli.book import Result
from tests.experiments.disk import fill as fill_up
from tests.experiments.disk import small_disk
from tests.stores.events import batch, event, events

Rekt = Callable[..., Result]
BOTH = ("--day", DAYS[0], "--day", DAYS[1])


@pytest.fixture
def folder(path: Path) -> Path:
    """Where the archive of a filled ledger will be."""
    path.parent.mkdir()
    fill(path)
    return path.parent / "archive"


@pytest.fixture
def archived(folder: Path, rekt: Rekt) -> Path:
    """The archive of the two days."""
    done = rekt("archive", *BOTH)
    assert done.code == 0, done.err
    return folder


def late(path: Path, *found: Any, **more: Any) -> None:
    """Rows that come after the day was archived."""
    ledger = Ledger(path)
    ledger.append(batch(*found, run="late", now_ms=FIRST + 3 * DAY, **more))
    ledger.close()


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_day_holds_every_row_exactly(archived: Path, path: Path) -> None:
    """The file has the ledger's rows, digit for digit, in order; the manifest the day's and each hour's numbers."""
    found = pq.read_table(archived / "2026-07-16.parquet").to_pylist()
    with Reader(path) as ledger:
        wanted = [liquidation_object(one) for one in ledger.liquidations(None)]
    assert [one["uid"] for one in found] == [one["uid"] for one in wanted]
    for name in ("symbol", "price", "average_price", "quantity", "filled_quantity", "status"):
        assert [one[name] for one in found] == [one[name] for one in wanted]
    assert [one["notional_usd"] and str(one["notional_usd"]) for one in found] == [
        one["notional_usd"] for one in wanted
    ]
    said = manifest(archived)
    assert said["rows"] == len(wanted) == len(rows())
    assert len(said["hours"]) == 24
    assert sum(hour["count"] for hour in said["hours"]) == said["count"]


def test_the_manifest_is_what_summary_says(archived: Path, rekt: Rekt) -> None:
    """Count, sums, coverage and gaps are those of `rekt summary` of that day."""
    (told,) = rekt("summary", "--from", DAYS[0], "--to", DAYS[1], "--json").objects
    said = manifest(archived)
    for name in (
        "count",
        "unknown_count",
        "total_usd",
        "largest",
        "by_symbol",
        "by_venue",
        "coverage",
        "gaps",
    ):
        assert said[name] == told[name], name
    assert said["coverage"] == pytest.approx(23 / 24)
    assert [gap["cause"] for gap in said["gaps"]] == ["cut"]


def test_empty_days_tell_why(archived: Path, rekt: Rekt) -> None:
    """A calm day has no rows and coverage 1, one on which nothing ran has coverage 0: told apart."""
    assert (manifest(archived, DAYS[1])["rows"], manifest(archived, DAYS[1])["coverage"]) == (0, 1.0)
    assert rekt("archive", "--day", "2026-07-10").code == 0
    dark = manifest(archived, "2026-07-10")
    assert (dark["rows"], dark["coverage"], len(dark["gaps"])) == (0, 0.0, 1)
    assert rekt("archive", "verify", "2026-07-10", DAYS[1], "--ledger").code == 0


def test_the_same_rows_give_the_same_bytes(archived: Path, rekt: Rekt, tmp_path: Path) -> None:
    """Archived elsewhere the Parquet files are equal byte for byte."""
    assert rekt("archive", *BOTH, "--folder", str(tmp_path / "other")).code == 0
    for day in DAYS:
        name = f"{day}.parquet"
        assert (tmp_path / "other" / name).read_bytes() == (archived / name).read_bytes()


def test_again_changes_nothing(archived: Path, rekt: Rekt) -> None:
    """A second run leaves every byte as it is and says so."""
    before = contents(archived)
    done = rekt("archive", *BOTH)
    assert (done.code, done.err) == (0, "")
    assert "0 days written, 2 as they were" in done.out
    assert contents(archived) == before


def test_without_a_time_every_recorded_closed_day(path: Path, rekt: Rekt) -> None:
    """From the first day with something on up to yesterday; today is not closed and not told."""
    path.parent.mkdir()
    today = int(time.time() * 1000) // DAY * DAY
    opened = today - 3 * DAY + HOUR
    ledger = Ledger(path)
    ledger.append(
        Batch(
            "run",
            [(event(1, at=opened),)],
            connections=[Connection("c", "run", "binance", "x", opened * 1000)],
            spans=[Span("c", opened, today + HOUR)],  # so that yesterday is final in its first minutes, too
        )
    )
    ledger.close()
    done = rekt("archive", "--json")
    assert done.code == 0, done.err
    days = [one["day"] for one in done.objects]
    assert days == [time.strftime("%Y-%m-%d", time.gmtime((today - back * DAY) / 1000)) for back in (3, 2, 1)]
    assert {one["result"] for one in done.objects} == {"archived"}
    assert [one["day"] for one in rekt("archive", "list", "--json").objects] == days


def test_a_time_takes_the_recorded_days_in_it(folder: Path, rekt: Rekt) -> None:
    """Days of which nothing is known are not made up by a long time; days that lie in it only in part stay out."""
    done = rekt("archive", "--from", "2020-01-01", "--to", "2026-07-17T12", "--json")
    assert [one["day"] for one in done.objects] == [DAYS[0]]


def test_a_day_that_is_not_closed_is_refused(folder: Path, rekt: Rekt) -> None:
    """Today by name: exit 1 with the reason and no file; as part of a time it is left out and said so."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    done = rekt("archive", "--day", today)
    assert done.code == 1
    assert "not closed" in done.err
    assert not list(folder.glob(f"{today}*"))
    ahead = rekt(
        "archive", "--from", today, "--to", time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))
    )
    assert ahead.code == 0
    assert "not closed" in ahead.err


@pytest.mark.parametrize(
    "day", ["yesterday", "2026-02-30", "../../x", "2026-07-16/..", "2026-7-16", "٢٠٢٦-٠٧-١٦"]
)
def test_what_is_no_day_is_refused(folder: Path, rekt: Rekt, day: str) -> None:
    """Only a date is a day, and nothing else gets into a path."""
    for args in (("archive", "--day", day), ("archive", "verify", day)):
        done = rekt(*args)
        assert done.code == 2
        assert "is no day" in done.err
    assert not list(folder.glob("*"))


def test_options_of_the_bare_command_stay_with_it(archived: Path, rekt: Rekt) -> None:
    """`rekt archive --revise verify` is a mistake and nothing is done; times exclude each other."""
    assert rekt("archive", "--revise", "verify").code == 2
    assert rekt("archive", "--day", DAYS[0], "--all").code == 2


def test_hostile_symbols_are_only_text(archived: Path, rekt: Rekt) -> None:
    """Slashes, quotes and escapes are in the rows as they came, in no file name, and leave the terminal alone."""
    found = pq.read_table(archived / "2026-07-16.parquet")["symbol"].to_pylist()
    assert set(HOSTILE) <= set(found)
    assert {file.name for file in archived.iterdir()} == {
        f"{day}.{kind}" for day in DAYS for kind in ("json", "parquet")
    }
    table = pq.read_table(archived / "2026-07-16.parquet")
    keep = [name != "\x1b[2J\u202e" for name in found]
    forge(archived, table.filter(keep))
    done = rekt("archive", "verify", "--ledger")
    assert done.code == 1
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out


# -- what changed later ------------------------------------------------------------------------------------------------


def test_a_day_that_changed_is_told_and_left(archived: Path, path: Path, rekt: Rekt) -> None:
    """A late event is said, with what and where; nothing is written."""
    before = contents(archived)
    late(path, event(9_999_999, at=FIRST + HOUR))
    done = rekt("archive", *BOTH)
    assert done.code == 0
    assert (
        "2026-07-16 changed since it was archived: 1 row is in the ledger, but not in the archive" in done.err
    )
    assert "2026-07-16T01:00:00.000Z binance BTCUSDT" in done.err
    assert contents(archived) == before
    assert rekt("archive", "verify", "--ledger").code == 1
    assert rekt("archive", "verify").code == 0


def test_revise_writes_a_new_revision_and_keeps_what_was_said(archived: Path, path: Path, rekt: Rekt) -> None:
    """The new file has the row; the manifest's history has the old digest and numbers; one file of the day is left."""
    old = manifest(archived)
    late(path, event(9_999_999, at=FIRST + HOUR), reason="replay")
    done = rekt("archive", *BOTH, "--revise")
    assert done.code == 0, done.err
    assert "revision 2" in done.out
    new = manifest(archived)
    assert (new["rows"], new["revision"], new["file"]) == (old["rows"] + 1, 2, "2026-07-16.r2.parquet")
    (kept,) = new["history"]
    for name in (
        "sha256",
        "rows",
        "count",
        "total_usd",
        "coverage",
        "gaps",
        "archived_at",
        "revision",
        "software",
    ):
        assert kept[name] == old[name], name
    assert [one["reason"] for one in new["revisions"]] == ["replay"]
    assert [file.name for file in archived.glob("2026-07-16*.parquet")] == ["2026-07-16.r2.parquet"]
    assert rekt("archive", "verify", "--ledger").code == 0
    assert "0 days written" in rekt("archive", *BOTH, "--revise").out


def test_a_value_settled_late_is_a_change(archived: Path, path: Path, rekt: Rekt) -> None:
    """No row more, but one is worth something now: told with the column."""
    unknown = next(one for one in rows() if one.notional is None)
    ledger = Ledger(path)
    ledger.append(Batch("late", settled=[Settled(unknown.trade_time, unknown.uid, 5_000_000, None)]))
    ledger.close()
    done = rekt("archive", "--day", DAYS[0])
    assert "1 row is not the same in the archive and the ledger" in done.err
    assert "(notional_usd)" in done.err


def test_better_coverage_is_a_change(archived: Path, path: Path, rekt: Rekt) -> None:
    """Another recorder's connection, merged in, fills the gap: told, and in the new revision."""
    hole = FIRST + 5 * HOUR
    life = Connection(
        "c3", "other", "binance", "wss://x/m", hole * 1000, None, None, None, (hole + HOUR) * 1000, "cut"
    )
    ledger = Ledger(path)
    ledger.append(Batch("merge", connections=[life], spans=[Span("c3", hole - 1000, hole + HOUR + 1000)]))
    ledger.close()
    done = rekt("archive", "--day", DAYS[0])
    assert "coverage was 0.958" in done.err
    assert rekt("archive", "--day", DAYS[0], "--revise").code == 0
    assert manifest(archived)["coverage"] == 1.0
    assert manifest(archived)["history"][0]["coverage"] == pytest.approx(23 / 24)


def test_the_same_rows_from_another_ledger_are_no_change(
    archived: Path, rekt: Rekt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that was made anew in another order has other numbers of its own, and the same days."""
    other = tmp_path / "other.db"
    fill(other)
    ledger = Ledger(other)
    ledger.append(batch(event(1, at=FIRST - DAY)))
    first = next(one for one in rows() if one.notional is None)
    ledger._connection.execute(
        "UPDATE liquidation SET seq = (SELECT max(seq) + 1 FROM liquidation) WHERE uid = ?", (first.uid,)
    )
    ledger.close()
    monkeypatch.setenv("REKT_DATABASE_PATH", str(other))
    done = rekt("archive", *BOTH, "--folder", str(archived))
    assert (done.code, done.err) == (0, "")
    assert "2 as they were" in done.out


# -- pruned days -------------------------------------------------------------------------------------------------------


def prune(path: Path, before: int) -> None:
    """Drop rows as the shipper does once they are proved to be in QuestDB."""
    marks = Marks(path)
    marks._connection.execute("INSERT INTO meta VALUES('sealed_before', ?)", (str(before),))
    assert marks.prune() > 0
    marks.close()


def test_a_pruned_day_is_refused_in_words(folder: Path, path: Path, rekt: Rekt) -> None:
    """Its rows are gone: no file that holds a part of them is made; other days are archived."""
    late(path, event(1, at=FIRST + DAY + 5), event(2, at=FIRST + DAY + 6))
    prune(path, FIRST + DAY)
    done = rekt("archive", "--day", DAYS[0])
    assert done.code == 1
    assert "pruned from the ledger" in done.err
    assert not list(folder.glob("*.parquet"))
    done = rekt("archive", "--from", "2026-07-16", "--to", "2026-07-18")
    assert done.code == 0
    assert "2026-07-16 is left out (pruned)" in done.err
    assert Folder(folder).days() == [DAYS[1]]


def test_a_day_archived_before_it_was_pruned_stays_right(archived: Path, path: Path, rekt: Rekt) -> None:
    """The archive has its rows; against the ledger the sums and coverage are compared."""
    late(path, event(1, at=FIRST + DAY + 5), event(2, at=FIRST + DAY + 6))
    assert rekt("archive", "--day", DAYS[1], "--revise").code == 0
    prune(path, FIRST + DAY)
    done = rekt("archive", *BOTH, "--revise")
    assert (done.code, done.err) == (0, "")
    assert rekt("archive", "verify", "--ledger").code == 0


# -- verifying ---------------------------------------------------------------------------------------------------------


def test_verify_says_that_all_is_right(archived: Path, rekt: Rekt) -> None:
    """Every check on, as words and as objects."""
    done = rekt("archive", "verify", "--ledger")
    assert (done.code, done.out, done.err) == (0, "2 days are right\n", "")
    found = rekt("archive", "verify", "--json").objects
    assert found == [{"day": day, "right": True, "problems": []} for day in DAYS]


@pytest.mark.parametrize("name", ["2026-07-16.parquet", "2026-07-16.json"])
def test_a_changed_byte_is_found(archived: Path, rekt: Rekt, name: str) -> None:
    """Wherever a bit turns, in rows or manifest, that day is wrong and the other is right."""
    file = archived / name
    whole = file.read_bytes()
    for share in (0.0, 0.1, 0.4, 0.7, 0.95, 0.999):
        content = bytearray(whole)
        content[int(len(content) * share)] ^= 1
        file.write_bytes(content)
        found = {one["day"]: one for one in rekt("archive", "verify", "--json").objects}
        assert [found[day]["right"] for day in DAYS] == [False, True], share
    assert rekt("archive", "verify", DAYS[1]).code == 0
    assert rekt("archive", "verify", DAYS[0]).code == 1


def test_a_row_less_is_found_even_with_a_right_digest(archived: Path, rekt: Rekt) -> None:
    """Who recomputes the digests still can't make the sums right: the day, the hour, the symbol are named."""
    table = pq.read_table(archived / "2026-07-16.parquet")
    gone = next(
        index
        for index, row in enumerate(table.to_pylist())
        if row["status"] == "FILLED" and row["notional_usd"]
    )
    row = table.slice(gone, 1).to_pylist()[0]
    forge(archived, table.filter([index != gone for index in range(len(table))]), rows=len(table) - 1)
    done = rekt("archive", "verify", DAYS[0])
    assert done.code == 1
    hour = row["trade_time"].strftime("%Y-%m-%dT%H")
    for words in (
        "2026-07-16: 2026-07-16: ",
        f"the hour {hour}",
        f"symbol {row['symbol']}",
        f", {row['side']}",
    ):
        assert words in done.out, done.out
    told = rekt("archive", "verify", DAYS[0], "--ledger").out
    assert "1 row is in the ledger, but not in the archive" in told
    assert row["uid"] in told


def test_disorder_doubles_and_other_days_are_found(archived: Path, rekt: Rekt) -> None:
    """Rows out of order, twice, or of another day are no day's rows."""
    import pyarrow as pa

    table = pq.read_table(archived / "2026-07-16.parquet")
    for wrong in (table.take(list(range(len(table)))[::-1]), pa.concat_tables([table.slice(0, 1), table])):
        forge(archived, wrong, rows=len(wrong))
        assert "not by trade time and uid" in rekt("archive", "verify", DAYS[0]).out
    moved = table.set_column(
        14, "trade_time", pa.array([FIRST + DAY + n for n in range(len(table))], table.schema.field(14).type)
    )
    forge(archived, moved)
    assert "another day" in rekt("archive", "verify", DAYS[0]).out
    forge(archived, table.drop(["price"]))
    assert "other columns" in rekt("archive", "verify", DAYS[0]).out


def test_a_coverage_that_was_made_better_is_found(archived: Path, rekt: Rekt) -> None:
    """A manifest whose seal was forged too does not agree with the ledger."""
    forge(archived, coverage=1.0)
    assert rekt("archive", "verify", DAYS[0]).code == 0
    done = rekt("archive", "verify", DAYS[0], "--ledger")
    assert done.code == 1
    assert "coverage was 1.0 and is 0.958" in done.out


def test_missing_and_stray_files_are_found(archived: Path, rekt: Rekt) -> None:
    """No file, no manifest, no archive: each is told; a missing file is written again with --revise."""
    (archived / "2026-07-16.parquet").rename(archived / "2026-07-16.r7.parquet")
    done = rekt("archive", "verify")
    assert done.code == 1
    assert "2026-07-16: 2026-07-16.parquet is not there" in done.out
    assert "no manifest names 2026-07-16.r7.parquet" in done.out
    assert rekt("archive", "verify", "2026-07-20").code == 1
    done = rekt("archive", *BOTH)
    assert done.code == 1
    assert "damaged" in done.err
    assert rekt("archive", *BOTH, "--revise").code == 0
    assert rekt("archive", "verify").code == 0
    assert rekt("archive", "verify", "--folder", "nowhere").code == 2


def test_a_manifest_names_no_file_elsewhere(archived: Path, rekt: Rekt) -> None:
    """A manifest from elsewhere can't lead out of its folder."""
    for name in ("../2026-07-16.parquet", "/etc/passwd", "2026-07-17.parquet"):
        forge(archived, file="2026-07-16.parquet")
        forge(archived, file=name)
        assert "names another day or file" in rekt("archive", "verify", DAYS[0]).out
        with pytest.raises(ArchiveError):
            package.liquidations("2026-07-16", source=archived)


# -- tapes -------------------------------------------------------------------------------------------------------------


def payload(number: int) -> dict[str, Any]:
    """A frame of the exchange on the first day."""
    time_ms = FIRST + number * 60_000
    order = {
        "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9910", "ap": "9910.5",
        "X": "FILLED", "l": "0.014", "z": "0.014", "T": time_ms,
    }  # fmt: skip
    return {"e": "forceOrder", "E": time_ms + 1000, "o": order}


def tape(file: Path, numbers: range) -> Path:
    """A tape of these frames, named as the recorder names it."""
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(payload(number)) + "\n" for number in numbers))
    return file


def test_events_are_derived_from_the_tapes_again(path: Path, rekt: Rekt, tmp_path: Path) -> None:
    """The same tapes: right. One frame less, or one more: told by uid, each on its side; nothing asks the network."""
    tapes = tmp_path / "tapes"
    tape(tapes / "binance-2026-07-16-a.jsonl", range(100))
    tape(tapes / "binance-2026-07-16-b.jsonl", range(50, 200))
    tape(tapes / "binance-2026-01-01-c.jsonl", range(1)).write_text("no frame, and not looked at\n")
    path.parent.mkdir()
    Ledger(path).close()
    assert (
        rekt(
            "replay", str(tapes / "binance-2026-07-16-a.jsonl"), str(tapes / "binance-2026-07-16-b.jsonl")
        ).code
        == 0
    )
    assert rekt("archive", "--day", DAYS[0]).code == 0
    done = rekt("archive", "verify", "--ledger", "--tapes", str(tapes))
    assert (done.code, done.err) == (0, ""), done.out
    tape(tapes / "binance-2026-07-16-b.jsonl", range(50, 199))
    done = rekt("archive", "verify", "--tapes", str(tapes))
    assert done.code == 1
    assert (
        "1 row is in the archive, but not in the tapes: 2026-07-16T03:19:00.000Z binance BTCUSDT" in done.out
    )
    tape(tapes / "binance-2026-07-16-b.jsonl", range(50, 202))
    done = rekt("archive", "verify", "--tapes", str(tapes))
    assert "2 rows are in the tapes, but not in the archive" in done.out
    assert rekt("archive", "verify", "--tapes", str(path.parent)).code == 2


# -- interrupted, full, at the same time -------------------------------------------------------------------------------

CHILD = """
import os, signal, sys
from pathlib import Path
from rekt.archive import folder
from rekt.cli.main import main
step, calls = int(sys.argv[1]), 0
whole = folder.put
def put(part, target):
    global calls
    calls += 1
    if calls == step:
        os.kill(os.getpid(), signal.SIGKILL)
    whole(part, target)
    if calls == step - 10:
        os.kill(os.getpid(), signal.SIGKILL)
folder.put = put
main(sys.argv[2:])
"""


def child(*args: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, killed at a step, or with a bound on the size of its files."""

    def bound() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit or 0, limit or 0))

    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    return subprocess.run(
        [sys.executable, "-c", CHILD, *args],
        capture_output=True, text=True, env=environment, check=False, timeout=50,
        preexec_fn=bound if limit else None,
    )  # fmt: skip


@pytest.mark.parametrize("step", [1, 11, 2, 12])
@pytest.mark.parametrize("first", [True, False])
def test_killed_at_any_step_a_day_is_whole_or_as_it_was(
    folder: Path, path: Path, rekt: Rekt, step: int, first: bool
) -> None:
    """kill -9 before and after either rename, of a first archive or a revision: then another run makes it right."""
    if not first:
        assert rekt("archive", "--day", DAYS[0]).code == 0
        late(path, event(9_999_999, at=FIRST + HOUR))
    had = manifest(folder)["sha256"] if not first else None
    killed = child(str(step), "archive", "--day", DAYS[0], "--revise")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    archive = Folder(folder)
    said = archive.manifest(DAYS[0])
    if said is None:
        assert first
    else:
        assert archive.file(said).is_file()
        assert (said["sha256"] == had) == (not first and step != 12)
        assert rekt("archive", "verify", DAYS[0]).code == 0
        table = package.liquidations(DAYS[0], source=folder, frame="arrow")
        assert table.num_rows == said["rows"]
    done = rekt("archive", "--day", DAYS[0], "--revise")
    assert done.code == 0, done.err
    assert rekt("archive", "verify", "--ledger").code == 0
    assert len(list(folder.glob("*.parquet"))) == 1
    assert not list(folder.glob(".*"))


def test_a_full_disk_is_told_and_leaves_nothing_half(folder: Path, rekt: Rekt) -> None:
    """On a real small file system: exit 1 in words, no file; with room it goes on."""
    try:
        with small_disk(1) as disk:
            fill_up(disk)
            done = rekt("archive", "--day", DAYS[0], "--folder", str(disk / "archive"))
            assert done.code == 1
            assert "the disk is full" in done.err
            (disk / "ballast").unlink()
            assert list((disk / "archive").iterdir()) == []
            assert rekt("archive", "--day", DAYS[0], "--folder", str(disk / "archive")).code == 0
    except PermissionError as error:
        pytest.skip(str(error))


def test_a_write_that_fails_in_the_middle_leaves_nothing_half(folder: Path, path: Path, rekt: Rekt) -> None:
    """The system takes a part of the file and no more: exit 1 in words, no file."""
    late(path, *events(3_000, seed=2, start=FIRST, length=DAY))
    refused = child("0", "archive", "--day", DAYS[0], limit=65_536)  # SQLite's own index has 32 kB
    assert refused.returncode == 1
    assert "can't be written: File too large; no day is half there" in refused.stderr
    assert list(folder.iterdir()) == []
    assert rekt("archive", "--day", DAYS[0]).code == 0
    assert (folder / "2026-07-16.parquet").stat().st_size > 65_536


def test_two_at_once_exclude_each_other(archived: Path, rekt: Rekt) -> None:
    """The second one says so and does nothing."""
    with Folder(archived).alone():
        done = rekt("archive", *BOTH)
    assert done.code == 1
    assert "another process is archiving" in done.err


def test_a_file_of_somebody_else_is_not_overwritten(folder: Path, rekt: Rekt) -> None:
    """A Parquet file of that name that no manifest names stays as it is."""
    folder.mkdir()
    (folder / "2026-07-16.parquet").write_bytes(b"mine")
    done = rekt("archive", "--day", DAYS[0])
    assert done.code == 1
    assert "no manifest names it" in done.err
    assert (folder / "2026-07-16.parquet").read_bytes() == b"mine"


# -- frames ------------------------------------------------------------------------------------------------------------


def test_frames_read_the_archive(archived: Path) -> None:
    """`rekt.liquidations(source=folder)` gives the ledger's rows, each once, whatever else lies there."""
    (archived / "2026-07-16.r9.parquet").write_bytes((archived / "2026-07-16.parquet").read_bytes())
    here = package.liquidations(DAYS[0], frame="arrow", exact=True)
    there = package.liquidations(DAYS[0], frame="arrow", exact=True, source=archived)
    assert there.equals(here)
    assert there.num_rows == len(rows())


def test_hours_come_from_the_manifests(archived: Path, tmp_path: Path) -> None:
    """`rekt.hours(source=folder)` gives what the ledger gives, for the days that are archived."""
    here = package.hours("2026-07-16T04", "2026-07-17T03", frame="arrow", exact=True)
    there = package.hours("2026-07-16T04", "2026-07-17T03", frame="arrow", exact=True, source=archived)
    assert there.equals(here)
    assert package.hours("2026-07-15T12", "2026-07-20", frame="arrow", source=archived).num_rows == 48
    with pytest.raises(UsageError, match="hours need"):
        package.hours(DAYS[0], source=tmp_path)
