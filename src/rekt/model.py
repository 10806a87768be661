"""The frozen facts everything else passes around: what a liquidation, a connection, an hour is.

Units: `*_time` and `*_ms` are milliseconds since 1970 UTC (the venues' own precision), `*_us` microseconds.
Money is an integer number of micro-dollars (1 USD = 1,000,000); prices and quantities are the venue's own digits.
What each field means and where it comes from is in docs/semantics.md.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

MICRO = 1_000_000  # micro-dollars in a dollar

Side = Literal["long", "short"]
OrderSide = Literal["SELL", "BUY"]
Market = Literal["linear", "inverse"]

COUNTING_STATUS = "FILLED"  # only these are in counts and totals; at a venue without statuses (None) all are


class Feed(NamedTuple):
    """What is the same for every event of one market of one venue."""

    venue: str
    market: Market
    price_kind: str  # which price `average_price`/`price` is: average_fill, order, bankruptcy, mark, trade
    sampling: str  # what the venue leaves out: all, largest_per_symbol_second, ...


class Liquidation(NamedTuple):
    """One forced order, as the venue told it. The field order is the ledger's column order (hot path)."""

    feed: Feed
    trade_time: int  # ms; the event belongs to the hour of this time
    uid: bytes  # 16 bytes, see `fields.event_uid`
    symbol: str  # the venue's spelling: opaque text from outside, escape it everywhere
    order_side: OrderSide
    status: str | None
    price: str | None  # the order's limit
    average_price: str | None  # what it was filled at
    quantity: str | None  # asked
    filled_quantity: str | None  # filled: in coins (linear) or contracts (inverse)
    notional: int | None  # micro-dollars; None = unknown, never a guess
    basis: (
        str | None
    )  # how notional was found: None = instrument's own data, "inferred", or the BTC price used
    event_time: int | None  # ms; when the venue sent it
    received_us: int  # when we had it

    @property
    def side(self) -> Side:
        """The position that was liquidated: a forced SELL closes a long."""
        return "long" if self.order_side == "SELL" else "short"

    @property
    def counts(self) -> bool:
        """Whether it is part of counts and totals."""
        return self.status is None or self.status == COUNTING_STATUS


class Instrument(NamedTuple):
    """A contract as the venue's own document describes it."""

    venue: str
    symbol: str
    market: Market
    base: str
    quote: str
    contract_size: str | None  # USD per contract (inverse); None for linear
    seen_us: int  # when the document was read
    step: str | None = (
        None  # what quantities are multiples of, as the venue tells them; not kept in the ledger
    )


class Quarantined(NamedTuple):
    """A frame that did not fit: kept with its bytes (cut at a bound) so that nothing received is lost."""

    venue: str
    connection: str | None
    received_us: int
    reason: str
    data: bytes


class Connection(NamedTuple):
    """One websocket connection's whole life; receive times in µs, None = not (yet)."""

    id: str
    run: str
    venue: str
    url: str  # without credentials
    opened_us: int
    first_frame_us: int | None = None
    last_frame_us: int | None = None
    last_canary_us: int | None = None
    closed_us: int | None = None
    cause: str | None = None  # renewed, stopped, cut, stall, mis-routed, queue full, ...


class Span(NamedTuple):
    """A stretch of one connection proved alive by its canary: first and last tick, venue time in ms."""

    connection: str
    start_ms: int
    end_ms: int


class Delivery(NamedTuple):
    """What a connection told in an hour while another was alive beside it, and what it alone did not tell."""

    connection: str
    hour: int  # ms, of the trade time
    told: int  # events
    lost: int  # events that another connection told while this one was proved alive


class ClockChange(NamedTuple):
    """The time of day moved otherwise than time passed: somebody set the clock, or the machine slept."""

    at_us: int
    seconds: float  # ahead (+) or back (-); of sleep: how long
    kind: Literal["step", "asleep"]


class Suspicion(NamedTuple):
    """Something about a venue's events that its description denies; see pipeline.suspicion. Nothing is corrected by it."""

    venue: str
    kind: str  # silent, sides, units, late, throttle
    text: str | None  # what was seen, in a sentence; None: it is over
    since_us: int  # when it was seen first


class Revision(NamedTuple):
    """The numbers of an hour that was final already, before and after they changed, and why."""

    hour: int  # ms
    seen_us: int
    reason: str  # late event, late size, replay, merge
    count_before: int
    count_after: int
    total_before: int  # micro-dollars
    total_after: int


class Window(NamedTuple):
    """A half-open stretch of trade time, ms: start ≤ t < end."""

    start: int
    end: int


class Bucket(NamedTuple):
    """Counts and sums of one key over one stretch of time."""

    start: int  # ms
    venue: str
    symbol: str  # "" = all symbols
    side: Side
    count: int  # type: ignore[assignment]  # hides tuple.count
    unknown_count: int  # of `count`, those with unknown notional
    total: int  # micro-dollars, exact at any size


class Largest(NamedTuple):
    """The largest single liquidation of a window."""

    symbol: str
    side: Side
    notional: int  # micro-dollars
    average_price: str | None
    filled_quantity: str | None
    trade_time: int
    venue: str


class Gap(NamedTuple):
    """A stretch without a canary-proved connection, ms, and why."""

    start: int
    end: int
    cause: str
    venue: str


class Tally(NamedTuple):
    """How many and how much: a count and micro-dollars."""

    count: int  # type: ignore[assignment]  # hides tuple.count
    total: int


class VenueTally(NamedTuple):
    """One venue's part of a window, and what its numbers rest on."""

    venue: str
    count: int  # type: ignore[assignment]  # hides tuple.count
    total: int  # micro-dollars
    coverage: float  # 0..1
    final: bool
    sampling: str | None  # what the venue leaves out; None = not known here
    price_kind: str | None


class Mean(NamedTuple):
    """A comparison: the mean hour of a stretch and the number of hours it rests on."""

    count: float  # type: ignore[assignment]  # hides tuple.count
    total: int  # micro-dollars, rounded half-even
    hours: int


class HourSummary(NamedTuple):
    """The numbers of a window (an hour, or several): the object *hour* of the interface."""

    window: Window
    hour: int | None  # the hour's start, ms; None for a window that is not one hour
    count: int  # type: ignore[assignment]  # hides tuple.count
    unknown_count: int
    total: int
    largest: Largest | None
    long: Tally
    short: Tally
    by_symbol: list[tuple[str, Tally]]
    by_venue: list[VenueTally]
    coverage: float
    gaps: list[Gap]
    final: bool
    hour_before: Mean | None
    mean_24h: Mean | None
    mean_7d: Mean | None


class Loss(NamedTuple):
    """What one connection told and lost while another was alive beside it."""

    connection: str
    venue: str
    told: int
    lost: int

    @property
    def rate(self) -> float:
        """The share that was lost; 0 where nothing came."""
        return self.lost / (self.told + self.lost) if self.told + self.lost else 0.0


class Lag(NamedTuple):
    """Percentiles of receive time − event time, ms."""

    p50: float
    p95: float
    p99: float


class Saturation(NamedTuple):
    """How near one symbol was to the venue's limit of one event per second."""

    symbol: str
    venue: str
    seconds: int  # with an event
    longest_run: int  # of consecutive seconds with one
    saturation: float  # share of `seconds` in runs of consecutive ones; see stats.quality


class Quality(NamedTuple):
    """All of it, for one window. `lag` and `saturated` are None for a window too long to look at each event."""

    losses: list[Loss]
    missed_by_all: float | None
    lag: Lag | None
    saturated: list[Saturation] | None
    revisions: list[Revision]
