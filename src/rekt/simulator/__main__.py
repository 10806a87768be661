"""`python -m rekt.simulator`: run the simulated exchange until Ctrl+C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from rekt.simulator import scenes
from rekt.simulator.faults import KINDS, Step, parse_step, random_script
from rekt.simulator.market import MOODS
from rekt.simulator.options import Options
from rekt.simulator.server import Simulator


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m rekt.simulator",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="A fake exchange on loopback: a real websocket server that speaks as the venue does, with its\n"
        "throttle, canary, pings, limits and instrument documents. Prints its addresses, one a line.",
        epilog="faults (--fault 'SECONDS KIND key=value …', seconds after the start):\n"
        + "\n".join(f"  {kind:12} {text}" for kind, text in KINDS.items())
        + "\n  connection=  an id (they count from 1), open, next, every (also later ones), one (by the seed)"
        + "\n  spare=N      with connection=one: only if N other healthy connections remain"
        + "\n  seconds=     how long a lasting fault holds\n"
        + "\nexample: python -m rekt.simulator --scene cascade --fault '20 stall connection=one seconds=15'",
    )
    p.add_argument(
        "--venue", choices=scenes.names(), default=scenes.DEFAULT, help="who is played (%(default)s)"
    )
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    p.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (%(default)s)")
    p.add_argument(
        "--tls", nargs=2, metavar=("CERT", "KEY"), help="serve wss and https with this certificate"
    )
    p.add_argument("--seconds", type=float, help="end after so long")

    market = p.add_argument_group("synthetic market")
    market.add_argument("--scene", choices=list(MOODS), default="calm", help="how much happens (%(default)s)")
    market.add_argument("--seed", type=int, default=0, help="same seed, same market (%(default)s)")
    market.add_argument("--rate", type=float, help="forced orders a second, instead of the scene's number")
    market.add_argument(
        "--throttle",
        action=argparse.BooleanOptionalAction,
        help="publish the largest order per symbol and second only (on, unless --rate is given)",
    )
    market.add_argument("--hold-ms", type=int, default=1000, help="how long events are held (%(default)s)")
    market.add_argument(
        "--late-share", type=float, default=0.005, help="share of events held longer (%(default)s)"
    )
    market.add_argument(
        "--unfilled", type=float, default=0.0, help="share of orders not FILLED (%(default)s)"
    )
    market.add_argument("--before-merger", action="store_true", help="linear market only, without ps and st")
    market.add_argument(
        "--unlisted", action="append", default=[], metavar="SYMBOL", help="missing in the documents"
    )

    tape = p.add_argument_group("tape")
    tape.add_argument("--tape", type=Path, metavar="FILE", help="play recorded frames (also .gz, .zst)")
    tape.add_argument("--speed", default="1", help="factor of the original pace, or 'max' (%(default)s)")
    tape.add_argument("--now", action="store_true", help="move the times so that the tape plays now")
    tape.add_argument("--tape-canary", action="store_true", help="play the tape's canary, make none up")
    tape.add_argument(
        "--wait-for", type=int, default=1, metavar="N", help="start at N subscribers (%(default)s)"
    )

    rules = p.add_argument_group("connection rules (default: the venue's)")
    rules.add_argument("--ping-period", type=float, metavar="S", help="seconds between ping frames")
    rules.add_argument("--pong-timeout", type=float, metavar="S", help="cut if no pong comes within")
    rules.add_argument("--life", type=float, metavar="S", help="cut a connection at this age")
    rules.add_argument("--messages", type=int, metavar="N", help="incoming messages a second")
    rules.add_argument("--buffer", type=int, default=8 << 20, metavar="BYTES", help="kept for a slow reader")
    rules.add_argument(
        "--slow-reader", type=float, metavar="S", help="cut who has not been reading for so long"
    )

    faults = p.add_argument_group("faults")
    faults.add_argument(
        "--fault", action="append", default=[], type=_step, metavar="STEP", help="see below; repeatable"
    )
    faults.add_argument("--script", type=Path, metavar="FILE", help="steps, one a line: as --fault, or JSON")
    faults.add_argument(
        "--random-faults", type=float, metavar="S", help="a seeded fault every S seconds on average"
    )
    return p


def options(given: argparse.Namespace) -> Options:
    """The options a command line asks for."""
    context = None
    if given.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*given.tls)
    return Options(
        venue=given.venue,
        host=given.host,
        port=given.port,
        ssl_context=context,
        scene=given.scene,
        seed=given.seed,
        rate=given.rate,
        throttle=given.throttle,
        hold_ms=given.hold_ms,
        late_share=given.late_share,
        unfilled_share=given.unfilled,
        merged=not given.before_merger,
        unlisted=frozenset(given.unlisted),
        tape=given.tape,
        speed=None if given.speed == "max" else float(given.speed),
        shift_to_now=given.now,
        tape_canary=given.tape_canary,
        wait_for=given.wait_for,
        ping_period_s=given.ping_period,
        pong_timeout_s=given.pong_timeout,
        life_s=given.life,
        messages_per_second=given.messages,
        buffer_bytes=given.buffer,
        slow_reader_s=given.slow_reader,
        keep_sent=0,
    )


def script(given: argparse.Namespace) -> list[Step]:
    """The faults a command line asks for."""
    steps: list[Step] = list(given.fault)
    if given.script is not None:
        lines = given.script.read_text(encoding="utf-8").splitlines()
        steps += [parse_step(line) for line in lines if line.strip() and not line.startswith("#")]
    if given.random_faults:
        until_s = given.seconds or 86_400.0
        steps += random_script(given.seed, mean_s=given.random_faults, until_s=until_s)
    return steps


async def serve(simulator: Simulator, seconds: float | None) -> None:
    """Run until a signal or until the time is over."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    async with simulator:
        for name in ("ws", "retired", "rest"):
            sys.stdout.write(f"{name} {getattr(simulator, f'{name}_url')}\n")
        sys.stdout.flush()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), seconds)
    counts = simulator.counts
    sys.stderr.write(
        f"{counts.events} liquidations published, {counts.delivered} delivered, {counts.written} written, "
        f"{len(simulator.connections)} connections\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit 2 for a wrong use of it."""
    command = parser()
    given = command.parse_args(arguments)
    try:
        settings, steps = options(given), script(given)
        if settings.tape is not None:
            settings.tape.open("rb").close()
    except (ValueError, OSError) as error:
        command.error(str(error))
    try:
        asyncio.run(_main(settings, steps, given.seconds))
    except OSError as error:
        sys.stderr.write(f"cannot listen: {error}\n")
        return 1
    return 0


async def _main(settings: Options, steps: list[Step], seconds: float | None) -> None:
    await serve(Simulator(settings, steps), seconds)


def _step(text: str) -> Step:
    try:
        return parse_step(text)
    except (ValueError, KeyError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
