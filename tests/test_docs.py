"""The documents against the code: what they name exists, and what exists is named."""

from __future__ import annotations

import ast
import configparser
import doctest
import importlib
import importlib.util
import inspect
import json
import os
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer

from rekt import __version__, app, registry
from rekt.cli.main import app as command_line
from rekt.cli.main import main
from rekt.config import INTERNAL, SECTIONS, known_sections, load, variable
from rekt.errors import FrameError
from rekt.model import Lag, Loss, Saturation
from rekt.simulator.__main__ import parser as simulator_parser
from rekt.stats.coverage import PROCESS_DOWN, STALL
from rekt.venue import Notice, Reference, Tick, Venue
from tests.cli.book import fill

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "rekt"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = [name for name in registry.names("rekt.cli") if (SOURCE / "cli" / name).is_dir()]
COMMANDS = [name.replace("_", "-") for name in registry.names("rekt.cli") if name != "main"]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
SEMANTICS = TEXTS["docs/semantics.md"]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_CALL = re.compile(r"(?:^|[\s=/])rekt ((?:[a-z-]|--?[a-z]).*)")
_SIMULATOR = "-m rekt.simulator"


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a page in this language."""
    return [block for name, block in _FENCE.findall(text) if name == language]


def lines(text: str) -> Iterator[str]:
    """Whatever a page shows as something to type: lines of blocks, and code inside sentences."""
    for block in _FENCE.findall(text):
        yield from block[1].replace("\\\n", " ").splitlines()
    for code in _INLINE.findall(_FENCE.sub("", text)):
        yield code if not code.startswith("rekt ") else f"./{code}"


def calls(text: str) -> Iterator[list[str]]:
    """The arguments of each `rekt …` on a page."""
    for line in lines(text):
        typed = re.split(r"\s+(?:#|>|\|)", line, maxsplit=1)[0]
        if (found := _CALL.search(typed)) and (
            line.lstrip().startswith(("./rekt", "rekt")) or "/rekt " in line
        ):
            yield shlex.split(found[1])


CALLS = {(name, shlex.join(args)): args for name, text in TEXTS.items() for args in calls(text)}
SIMULATED = [
    line.split(_SIMULATOR, 1)[1] for text in TEXTS.values() for line in lines(text) if _SIMULATOR in line
]
README_CALLS = [args for (name, _), args in CALLS.items() if name == "README.md"]
HARMLESS = {"summary", "liquidations", "status", "backup", "tweet", "init"}  # quick, and need no network


def parsed(args: list[str]) -> str:
    """The command that these arguments call; raises what the command line would for wrong ones."""
    group: Any = typer.main.get_command(command_line)
    context = group.make_context("rekt", list(args))
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    if rest:  # a command that is only mentioned needs no arguments
        command.make_context(name, rest, parent=context)
    return str(name)


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^#", section, maxsplit=1, flags=re.MULTILINE)[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[2:]]


def names(cell: str) -> list[str]:
    """What stands in backticks."""
    return _INLINE.findall(cell)


def keys_within(value: object) -> Iterator[str]:
    """The keys of the objects inside a value, all the way down."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from keys_within(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_within(inner)


def tracked() -> list[Path]:
    """The files of the project; skips the test where git can't tell them."""
    try:
        told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in told.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger with a little in it, named by the environment; nothing of the developer's is seen."""
    for name in [name for name in os.environ if name.startswith(("REKT_", "XDG_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "empty.ini").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REKT_CONFIG", str(tmp_path / "empty.ini"))
    monkeypatch.setenv("REKT_DATABASE_PATH", str(tmp_path / "data" / "test.db"))
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "data" / "test.db")
    return tmp_path / "data" / "test.db"


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_and_call", CALLS, ids=" ".join)
def test_every_call_parses(page_and_call: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each `rekt …` in the documents names a command that exists, with options that it has."""
    with suppress(typer.Exit):  # --help and --version are known, too
        parsed(CALLS[page_and_call])
    assert "Error" not in capsys.readouterr().err


def test_a_wrong_call_does_not_parse() -> None:
    """The check above would notice a command or option that went away."""
    for wrong in (["sumary"], ["summary", "--hours", "x"], ["status", "now"], ["--confg", "x", "status"]):
        with pytest.raises(Exception) as refused:  # noqa: PT011 - the class is private to typer
            parsed(wrong)
        assert getattr(refused.value, "exit_code", None) == 2


@pytest.mark.parametrize(
    "args", [args for args in README_CALLS if args[0] in HARMLESS and args != ["tweet"]], ids=shlex.join
)
def test_readme_calls_run(args: list[str], book: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The calls of README that need neither network nor time really run, and end well."""
    with pytest.raises(SystemExit) as ended:
        main([*args, "--dir", str(book.parent)] if args[0] == "init" else args)
    out, err = capfd.readouterr()
    assert (ended.value.code or 0, err) == (0, "")
    assert out


def test_every_command_is_in_readme() -> None:
    """A command that README does not show is one that nobody finds."""
    assert {parsed(args) for args in README_CALLS} == set(COMMANDS)


@pytest.mark.parametrize("line", SIMULATED)
def test_calls_of_the_simulator_parse(line: str) -> None:
    """Each `python -m rekt.simulator …` in the documents has options that the simulator has."""
    simulator_parser().parse_args(shlex.split(re.split(r"\s#", line, maxsplit=1)[0]))


@pytest.mark.parametrize(
    "path",
    [
        *(
            (name,)
            for name in COMMANDS
            if hasattr(registry.load("rekt.cli", name.replace("-", "_")), "command")
        ),
        *((folder, name) for folder in FOLDERS for name in registry.names(f"rekt.cli.{folder}")),
    ],
    ids=" ".join,
)
def test_help_says_something(path: tuple[str, ...]) -> None:
    """Each command has a first sentence that ends, and each of its options a help of its own."""
    *folders, name = path
    function = registry.load(".".join(("rekt.cli", *folders)), name.replace("-", "_")).command
    first = (inspect.getdoc(function) or "").split("\n\n", 1)[0]
    assert first.endswith("."), name
    command: Any = typer.main.get_command(command_line)
    for part in path:
        command = command.get_command(typer.Context(command), part)
    assert [one.name for one in command.params if not one.help and not one.hidden] == []


# -- settings ----------------------------------------------------------------------------------------------------------


README_VENUE = SECTIONS["VENUES"][
    "enabled"
].default.upper()  # its section stands in README, those of the others on their page
VENUES = {name: app.venue(name) for name in registry.names("rekt.venues")}


def told_settings(page: str, heading: str) -> list[tuple[str, ...]]:
    """Section, key and default of each row of a table; a row without a section belongs to the one before."""
    found: list[tuple[str, ...]] = []
    for row in rows(TEXTS[page], heading):
        section, key, default = ("".join(names(cell)) for cell in row[:3])
        found.append((section or found[-1][0], key, default))
    return found


def test_settings_of_readme() -> None:
    """README's table has every setting, in order, with the default that the code has, but for the other venues'."""
    known = [
        (section, key, spec.default)
        for section, keys in known_sections(app.keys()).items()
        if section.lower() not in VENUES or section == README_VENUE
        for key, spec in keys.items()
    ]
    assert told_settings("README.md", "Configuration") == known


def test_settings_of_venues() -> None:
    """The venues' page has every setting of the others, in order, but for those that are as README's venue has them."""
    usual = {(key, default) for section, key, default in told_settings("README.md", "Configuration")
             if section == README_VENUE and not key.endswith("_url")}  # fmt: skip
    known = [
        (name.upper(), key, spec.default)
        for name, one in VENUES.items()
        if name.upper() != README_VENUE
        for key, spec in one.keys.items()
        if (key, spec.default) not in usual
    ]
    assert told_settings("docs/venues.md", "Settings") == known


def test_venues_are_explained() -> None:
    """The venues' page has each market of each venue, with its kind of price, its sampling and its settle time."""
    told = [
        (*("".join(names(row[at])) for at in (0, 1, 3, 5)), row[7])
        for row in rows(TEXTS["docs/venues.md"], "What each one tells")
    ]
    known = [(*feed, f"{one.settle_s:g} s") for one in VENUES.values() for feed in one.feeds]
    assert told == known
    assert {names(row[0])[0] for row in rows(SEMANTICS, "units by venue")} == VENUES.keys()


def test_what_is_not_confirmed_is_told() -> None:
    """The venues' page has a row for each thing that a venue's file calls unconfirmed, and what would tell."""
    told = [
        row for row in rows(TEXTS["docs/venues.md"], "Not confirmed, and what tells") if row[1] and row[2]
    ]
    assert Counter(names(row[0])[0] for row in told) == {
        name: len(one.unconfirmed) for name, one in VENUES.items() if one.unconfirmed
    }


def test_variables_exist() -> None:
    """Each REKT_ variable in the documents is one that is read; those that are no setting are all explained."""
    everywhere = "\n".join(TEXTS.values())
    told = set(re.findall(r"REKT_[A-Z][A-Z_]*[A-Z]", everywhere))
    known = {variable(section, key) for section, keys in known_sections(app.keys()).items() for key in keys}
    assert told <= known | INTERNAL.keys()
    assert told >= INTERNAL.keys()


@pytest.mark.parametrize(
    "text", [block for page in TEXTS.values() for block in blocks(page, "ini") if "[Unit]" not in block]
)
def test_configurations_load(text: str, tmp_path: Path) -> None:
    """Each credentials.ini shown is one that is accepted."""
    file = tmp_path / "credentials.ini"
    file.write_text(text, "utf-8")
    load(str(file), {}, extra=app.keys(), launcher_root=None, cwd=tmp_path)


def test_units_of_systemd() -> None:
    """The units shown start a real command, and give it the ten seconds that it may take to end."""
    units = [block for page in TEXTS.values() for block in blocks(page, "ini") if "[Unit]" in block]
    assert units
    for unit in units:
        read = configparser.RawConfigParser()
        read.read_string(unit)
        (args,) = calls(f"```\n{read['Service']['ExecStart']}\n```")
        assert parsed(args) == "run"
        assert int(read["Service"]["TimeoutStopSec"]) > 10


# -- fields ------------------------------------------------------------------------------------------------------------


OBJECTS = {
    "liquidation": ["liquidations", "--hour", "2026-07-16T12", "--limit", "1"],
    "hour": ["summary", "--hour", "2026-07-16T12"],
    "status": ["status"],
    "tweet": ["tweet", "--dry-run", "--hour", "2026-07-16T12"],
    "venue": ["venues"],
}
INSIDE: dict[str, type[Loss | Lag | Saturation]] = {
    "loss_rate": Loss,
    "lag_ms": Lag,
    "saturated": Saturation,
}  # empty in so small a ledger


@pytest.mark.parametrize("name", OBJECTS)
def test_fields_are_explained(name: str, book: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each field of an object has its place in docs/semantics.md, in order, and so have those inside of it."""
    assert book.is_file()
    with pytest.raises(SystemExit):
        main([*OBJECTS[name], "--json"])
    shown = json.loads(capfd.readouterr().out.splitlines()[0])
    told = {field: row for row in rows(SEMANTICS, name) for field in names(row[0])}
    assert list(told) == list(shown)
    for field, value in shown.items():
        inside = {*keys_within(value), *(INSIDE[field]._fields if field in INSIDE else ())}
        assert inside - {name for cell in told[field] for name in names(cell)} == set(), field


def causes() -> set[str]:
    """Why connections end, as the source says it: what is given to `Disconnected`, `leave`, `close`, and as `cause`."""
    found = {PROCESS_DOWN, STALL}
    for file in (SOURCE / "wire" / "connection.py", *(SOURCE / "pipeline").glob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        named = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                given = [keyword.value for keyword in node.keywords if keyword.arg == "cause"]
                called = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                if called in {"Disconnected", "leave", "close"}:
                    given += node.args[:1]
                for value in given:
                    found |= strings(value, named)
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "cause":
                found |= strings(node.value, named)
    return found - {"stopped"}


def strings(node: ast.expr, named: Mapping[str, ast.expr]) -> set[str]:
    """The texts that an expression may be; `named`: the constants of its file."""
    if isinstance(node, ast.IfExp):
        return strings(node.body, named) | strings(node.orelse, named)
    if isinstance(node, ast.Name) and node.id in named:
        return strings(named[node.id], {})
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def test_causes_of_gaps() -> None:
    """Each cause that a gap can have is explained, and no other."""
    assert {names(row[0])[0] for row in rows(SEMANTICS, "gap causes")} == causes()


# -- the venue that is shown -------------------------------------------------------------------------------------------

VENUE_PAGE = TEXTS["docs/adding-a-venue.md"]


def test_the_protocol_is_explained() -> None:
    """The table of a venue's parts has each member of the Protocol, and no other."""
    told = [names(row[0])[0].partition("(")[0] for row in rows(VENUE_PAGE, "Adding a venue")]
    methods = [name for name in vars(Venue) if not name.startswith("_") and callable(getattr(Venue, name))]
    assert told == [*inspect.get_annotations(Venue), *methods]


def test_the_venue_shown_works(tmp_path: Path) -> None:
    """The complete venue and its samples run as they stand, and keep the words of the Protocol."""
    modules = []
    for number, code in enumerate(blocks(VENUE_PAGE, "python")):
        file = tmp_path / f"part_{number}.py"
        file.write_text(code, "utf-8")
        spec = importlib.util.spec_from_file_location(f"shown_{number}", file)
        assert spec is not None
        assert spec.loader is not None
        modules.append(importlib.util.module_from_spec(spec))
        spec.loader.exec_module(modules[-1])
    venue: Venue = modules[0].VENUE
    assert [name for name in inspect.get_annotations(Venue) if not hasattr(venue, name)] == []
    for sample in modules[1].SAMPLES:
        known = {instrument.symbol: instrument for instrument in sample.instruments}
        decoded = venue.decode(sample.frame, 1_791_565_603_100_000, Reference(known))
        if isinstance(decoded, tuple):
            told = [{key: getattr(event, key) for key in sample.says[0]} for event in decoded]
            assert told == sample.says
        else:
            assert isinstance(decoded, Tick if sample.says is None else Notice)
            assert sample.says == getattr(decoded, "kind", None)
    with pytest.raises(FrameError):
        venue.decode(b"{}", 1, Reference())


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    """Each relative link and picture is a file of the project; each anchor is a heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


@pytest.mark.parametrize("name", TEXTS)
def test_named_modules_exist(name: str) -> None:
    """A file of Python that a page names is there, from the project's folder or the package's."""
    told = [
        code
        for code in _INLINE.findall(_FENCE.sub("", TEXTS[name]))
        if re.fullmatch(r"[\w/]+\.py", code) and "toyex" not in code
    ]
    missing = [code for code in told if not ((ROOT / code).is_file() or (SOURCE / code).is_file())]
    assert missing == []


def test_architecture_is_one_page() -> None:
    """What does not fit on a page is not read; and it has a picture."""
    text = TEXTS["docs/architecture.md"]
    assert len(text.splitlines()) <= 60
    assert "──▶" in text


def test_changelog_has_this_version() -> None:
    """The version that `rekt --version` tells is explained."""
    assert re.search(rf"^## {re.escape(__version__)}\b", TEXTS["CHANGELOG.md"], re.MULTILINE)


def test_every_page_is_linked() -> None:
    """README leads to each page."""
    for page in TEXTS:
        assert page == "README.md" or f"({page})" in TEXTS["README.md"], page


FILES = [file for file in SOURCE.rglob("*.py") if file.name != "__main__.py"]
SHOWING = sorted(
    ".".join(["rekt", *file.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")
    for file in FILES
    if ">>> " in file.read_text("utf-8")
)


def test_modules_say_what_they_are() -> None:
    """Each module begins with a sentence."""
    silent = [
        file for file in SOURCE.rglob("*.py") if not ast.get_docstring(ast.parse(file.read_text("utf-8")))
    ]
    assert silent == []


@pytest.mark.parametrize("name", SHOWING)
def test_examples_in_docstrings(name: str) -> None:
    """What docstrings show is what comes out."""
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert failed == 0
    assert tried > 0


FOREIGN = {
    "a path of one machine": r"(?<![\w./~%:$}-])/(?:root|work|mnt|Users|home(?!/me\b))/\w",
    "a package index": r"https?://\S+/simple(?:/|\b)|(?:index-url|find-links)[ =]+\S*:/",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_nothing_of_one_machine(what: str) -> None:
    """No file of the project tells where it was made, or from where packages came."""
    found = []
    for file in tracked():
        text = file.read_bytes().decode("utf-8", "replace")
        found += [f"{file.name}: {match[0]}" for match in re.finditer(FOREIGN[what], text)]
    assert found == []


def test_what_is_foreign_is_noticed() -> None:
    """The check above would notice what it looks for."""
    assert re.search(FOREIGN["a path of one machine"], "see " + "/" + "home/someone")
    assert re.search(FOREIGN["a package index"], "--index-url=" + "https://packages.example" + "/simple")
