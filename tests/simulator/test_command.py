from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from rekt.simulator import KINDS, simulated
from rekt.simulator.__main__ import main, options, parser, script
from tests.simulator.client import connected

COMMAND = [sys.executable, "-m", "rekt.simulator"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_prints_its_addresses_and_ends_on_a_signal(number: signal.Signals) -> None:
    """The addresses come first, one a line; a signal ends it with exit 0, connections open or not."""
    with subprocess.Popen(
        [*COMMAND, "--scene", "busy"], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as run:
        assert run.stdout is not None
        urls = dict(run.stdout.readline().split() for _ in range(3))
        assert list(urls) == ["ws", "retired", "rest"]
        assert httpx.get(urls["rest"] + "/fapi/v1/ping").json() == {}

        async def end() -> None:
            async with connected(urls["ws"] + "?streams=!forceOrder@arr") as client:
                run.send_signal(number)
                await asyncio.wait_for(client.closed.wait(), 20)

        asyncio.run(end())
        assert run.wait(20) == 0


def test_seconds_limit() -> None:
    """It ends by itself when its time is over."""
    command = [*COMMAND, "--seconds", "0.1"]
    assert subprocess.run(command, env=ENVIRONMENT, check=False, timeout=30).returncode == 0


def test_help_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """The help explains every kind of fault."""
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(kind in text for kind in KINDS)


@pytest.mark.parametrize(
    "arguments",
    [["--fault", "5 nothing"], ["--tape", "/nowhere/tape"], ["--speed", "fast"], ["--venue", "x"]],
)
def test_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong arguments end it with exit 2 and a sentence."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_scripts_from_file_and_by_chance(tmp_path: Path) -> None:
    """Steps come from arguments, from a file, and from a seeded draw."""
    path = tmp_path / "steps"
    path.write_text('# a comment\n3 cut\n{"at": 4, "kind": "stall"}\n', encoding="utf-8")
    arguments = ["--fault", "1 quiet", "--script", str(path), "--random-faults", "2", "--seconds", "60"]
    given = parser().parse_args(arguments)
    steps = script(given)
    assert [step.fault.kind for step in steps[:3]] == ["quiet", "cut", "stall"]
    assert len(steps) > 10
    assert options(given).keep_sent == 0


def test_tls(tmp_path: Path) -> None:
    """With a certificate of its own it speaks wss and https; who does not know the certificate refuses it."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = (
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {key} -out {certificate}"
    )
    made = subprocess.run(
        [
            "openssl",
            *command.split(),
            "-days",
            "2",
            "-subj",
            "/CN=x",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("no openssl command")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))

    async def listen(url: str, ssl_context: ssl.SSLContext) -> None:
        async with connected(url, ssl_context=ssl_context) as client:
            await client.until(lambda: client.events)

    with simulated(rate=200, hold_ms=0, ssl_context=context) as sim:
        assert sim.ws_url.startswith("wss://")
        asyncio.run(listen(f"{sim.ws_url}?streams=!forceOrder@arr", trusting))
        assert httpx.get(sim.rest_url + "/fapi/v1/ping", verify=trusting).json() == {}
        with pytest.raises(ssl.SSLCertVerificationError):
            asyncio.run(listen(sim.ws_url, ssl.create_default_context()))
