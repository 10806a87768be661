from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rekt.fields import HOUR
from rekt.model import Window
from rekt.stores.questdb import rows
from rekt.stores.sqlite import Reader
from tests.stores.events import event
from tests.stores.questdb import Shipped, place

FRAMES = Path(os.environ.get("FRAMES_DIR", Path(__file__).resolve().parents[3] / "shared" / "frames"))
TAPES = sorted(FRAMES.glob("binance-*.jsonl")) if FRAMES.is_dir() else []

decimals = st.decimals(min_value=0, max_value=10**15, allow_nan=False, allow_infinity=False, places=None).map(
    lambda number: format(number, "f")
)
texts = decimals.filter(lambda text: len(text) <= 40) | st.from_regex(
    r"[0-9]{1,15}(\.[0-9]{1,20})?", fullmatch=True
)


@given(texts)
def test_every_digit_survives_the_double(text: str) -> None:
    """The double and the text beside it give the venue's own digits back, trailing zeros included."""
    columns = rows.columns(event()._replace(average_price=text), int)
    assert rows.digits(columns["PRICE"], columns["price_text"]) == text


@given(texts)
@example("0")
@example("0.0")
@example("0.0001")
@example("0.00009")
@example("007")
@example("123456789012345")
@example("1234567890123456.7")
def test_text_is_kept_just_where_the_double_is_spelled_otherwise(text: str) -> None:
    """The quick look at a decimal says the same as spelling its double out."""
    assert rows.needs_text(text) == (rows.spelled(float(text)) != text)


def replay(ledger: Path) -> None:
    """Record all tapes, as `rekt replay` does."""
    done = subprocess.run(
        [sys.executable, "-m", "rekt", "replay", *map(str, TAPES)],
        env={
            **os.environ,
            "REKT_DATABASE_PATH": str(ledger),
            "REKT_BINANCE_UM_REST_URL": "http://127.0.0.1:9",
            "REKT_BINANCE_CM_REST_URL": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shipped, Path]]:
    """The real frames in a ledger, shipped; and the folder."""
    where = place("frames")
    folder = tmp_path_factory.mktemp("frames")
    replay(folder / "frames.db")
    store = Shipped(folder, where)
    store.ship()
    yield store, folder
    store.close()


@pytest.mark.skipif(not TAPES, reason="no recorded frames here")
def test_every_real_frame_arrives_exactly_once(recorded: tuple[Shipped, Path]) -> None:
    """Each event of the recorded frames is at the server once, every field equal; replay and resend add nothing."""
    store, folder = recorded
    with Reader(folder / "frames.db") as ledger:
        wanted = list(ledger.liquidations())
    assert len(wanted) > 100
    assert list(store.reader.liquidations()) == wanted
    replay(folder / "frames.db")
    store.shipper.resend(None, lambda done, of: None)
    store.ship()
    assert list(store.reader.liquidations()) == wanted
    sql = store.sql()
    (total,) = sql.one(
        "SELECT sum(n) FROM (SELECT count() n FROM frames UNION ALL SELECT count() n FROM frames_other)"
    )
    sql.close()
    assert total == len(wanted)


@pytest.mark.skipif(not TAPES, reason="no recorded frames here")
@pytest.mark.parametrize(
    "command",
    [
        "summary --from 2026-06-15 --to 2026-07-17",
        "summary --from 2026-07-16T11 --to 2026-07-16T14 --each",
        "summary --from 2026-06-15T00:39 --to 2026-06-15T00:41:30",
        "liquidations --from 2026-06-15 --to 2026-07-17",
        "liquidations --from 2026-06-15 --to 2026-07-17 --side short --min-usd 500",
        "tweet --dry-run --hour 2026-07-16T12",
    ],
)
def test_both_stores_print_the_same(recorded: tuple[Shipped, Path], command: str) -> None:
    """`--store questdb` prints, byte for byte, what `--store ledger` prints, without numpy or a ledger."""
    store, folder = recorded
    found = store.place
    printed = []
    for name, path in (("ledger", folder / "frames.db"), ("questdb", folder / "none.db")):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "rekt", *command.split(), "--json", "--store", name],
            env={
                **os.environ,
                "REKT_DATABASE_PATH": str(path),
                "REKT_DATABASE_URL": found.url,
                "REKT_DATABASE_USER": found.user,
                "REKT_DATABASE_PASSWORD": found.password,
                "REKT_DATABASE_NAME": found.table,
            },
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert "numpy" not in done.stderr
        printed.append(done.stdout)
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) >= 1
    json.loads(printed[0].splitlines()[0])


@pytest.mark.skipif(not TAPES, reason="no recorded frames here")
def test_the_hour_is_the_same_in_all_its_parts(recorded: tuple[Shipped, Path]) -> None:
    """An hour's sums, count and largest agree between the two, cut at any minute too."""
    store, folder = recorded
    with Reader(folder / "frames.db") as ledger:
        first = next(iter(ledger.liquidations())).trade_time
        for window in (
            Window(first // HOUR * HOUR, first // HOUR * HOUR + HOUR),
            Window(first + 60_000, first + 130_000),
        ):
            assert sorted(store.reader.count(window)) == sorted(ledger.count(window))
            assert sorted(store.reader.sums(window)) == sorted(ledger.sums(window))
            assert store.reader.largest(window) == ledger.largest(window)
            assert sorted(store.reader.totals(window, "minute")) == sorted(ledger.totals(window, "minute"))
