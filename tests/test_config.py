from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekt.config import SECTIONS, Key, Settings, known_sections, load, user_folders, variable
from rekt.errors import ConfigError

EXTRA = {
    "BINANCE": {"ws_url": Key("text", "wss://x/market", "where"), "timeout": Key("number", "5", "seconds")}
}
SECRET = "r4nd0mS3cr3t%;#Value"


def read(
    path: str | None = None,
    *,
    environ: dict[str, str] | None = None,
    root: Path | None = None,
    cwd: Path | None = None,
) -> Settings:
    """Load with a home, an environment and places of the test's own."""
    return load(
        path,
        {"HOME": "/home/me", **(environ or {})},
        extra=EXTRA,
        launcher_root=root,
        cwd=cwd,
        platform="linux",
    )


def ini(folder: Path, text: str, mode: int = 0o600) -> Path:
    """Write a configuration file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "credentials.ini"
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def test_defaults_need_no_file(tmp_path: Path) -> None:
    """Without any file the defaults hold, and the ledger lies in the user's data folder."""
    settings = read(cwd=tmp_path)
    assert settings.file is None
    assert settings.ledger_path == Path("/home/me/.local/share/rekt/liqui.db")
    assert settings.templates_path is None
    assert settings.section("BINANCE").number("timeout") == 5.0
    assert settings.section("DATABASE").whole("batch_size") == 50


def test_search_order(tmp_path: Path) -> None:
    """--config, then REKT_CONFIG, the working directory, beside the launcher, the user's folder."""
    places = [tmp_path / name for name in ("option", "variable", "cwd", "root", "xdg/rekt")]
    files = [ini(place, f"[DATABASE]\nname = from_{index}\n") for index, place in enumerate(places)]
    environ = {"REKT_CONFIG": str(files[1]), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}

    def name(path: str | None = None) -> str:
        return read(path, environ=environ, root=places[3], cwd=places[2]).section("DATABASE").text("name")

    assert name(str(files[0])) == "from_0"
    assert name() == "from_1"
    del environ["REKT_CONFIG"]
    for index in (2, 3, 4):
        assert name() == f"from_{index}"
        files[index].unlink()
    assert name() == "liqui"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_named_file_must_exist(tmp_path: Path, how: str) -> None:
    """A file that is named and not there is an error, not a reason to look elsewhere."""
    missing = str(tmp_path / "none.ini")
    with pytest.raises(ConfigError, match=r"none\.ini"):
        read(
            missing if how == "option" else None,
            environ={} if how == "option" else {"REKT_CONFIG": missing},
            cwd=tmp_path,
        )


def test_environment_wins_and_placeholders_are_absent(tmp_path: Path) -> None:
    """A variable wins over the file; empty and YOUR_… count as absent in both."""
    path = ini(
        tmp_path,
        "[TWITTER]\nconsumer_key = YOUR_CONSUMER_KEY\naccess_token =\nconsumer_secret = abc\n[BINANCE]\nws_url = wss://file\n",
    )
    environ = {"REKT_BINANCE_WS_URL": "wss://variable", "REKT_TWITTER_CONSUMER_SECRET": "YOUR_SECRET"}
    settings = read(str(path), environ=environ)
    twitter = settings.section("TWITTER")
    assert settings.section("BINANCE").text("ws_url") == "wss://variable"
    assert twitter.optional("consumer_key") is None
    assert twitter.optional("access_token") is None
    assert twitter.optional("consumer_secret") == "abc"


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
def test_keys_survive_as_they_are(tmp_path_factory: pytest.TempPathFactory, secret: str) -> None:
    """Whatever printable characters a key has, %, # and ; among them, it is read as it was written."""
    path = ini(tmp_path_factory.mktemp("keys"), f"[TWITTER]\nconsumer_key = {secret}\n")
    expected = None if secret.lower().startswith("your_") else secret
    assert read(str(path)).section("TWITTER").optional("consumer_key") == expected


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[TWITER]\nconsumer_key = x\n", 1, "did you mean TWITTER"),
        ("[twitter]\nconsumer_key = x\n", 1, "did you mean TWITTER"),
        ("[TWITTER]\n\nconsumer_kee = x\n", 3, "did you mean consumer_key"),
        ("[TWITTER]\nbatch_size = 50\n", 2, r"belongs in \[DATABASE\]"),
        ("[DATABASE]\nbatch_size = many\n", 2, "whole number"),
        ("[DATABASE]\nbatch_size = 50 # old\n", 2, "line of its own"),
        ("[DATABASE]\nname = ../liqui\n", 2, "letters"),
        ("[BINANCE]\ntimeout = nan\n", 2, "number"),
        ("[DATABASE]\nname = a\nname = b\n", 3, "twice"),
        ("[DATABASE]\n[DATABASE]\n", 2, "twice"),
        ("name = a\n", 1, "before any section"),
        ("[DATABASE]\nname\n", 2, "not understood"),
        ("[DATABASE]\nname = a\n  b\n", 2, "several lines"),
        ("[DEFAULT]\nname = a\n", 1, "no section"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, line: int, words: str) -> None:
    """Each mistake is told with file, line and the way out."""
    path = ini(tmp_path, text)
    with pytest.raises(ConfigError, match=words) as caught:
        read(str(path))
    assert f"{path}:{line}:" in str(caught.value)
    assert caught.value.exit_code == 2


def test_not_utf8(tmp_path: Path) -> None:
    """A file in another encoding is refused with the line, and nothing of its content."""
    path = tmp_path / "credentials.ini"
    path.write_bytes(b"[TWITTER]\nconsumer_key = \xe9\xff\n")
    with pytest.raises(ConfigError, match=r"credentials\.ini:2: not written in UTF-8"):
        read(str(path))


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    """A file saved by a Windows editor is read all the same."""
    path = tmp_path / "credentials.ini"
    path.write_bytes(b"\xef\xbb\xbf[DATABASE]\r\nname = abc\r\n")
    assert read(str(path)).section("DATABASE").text("name") == "abc"


def test_unknown_variable() -> None:
    """A misspelt variable is an error that names the nearest one; the internal ones are none."""
    with pytest.raises(ConfigError, match="did you mean REKT_BINANCE_WS_URL"):
        read(environ={"REKT_BINANCE_WSURL": "x"})
    assert read(environ={"REKT_PYTHON": "python3", "REKTIFY": "x"}).file is None


def test_wrong_type_in_a_variable() -> None:
    """A wrong value of a variable names the variable."""
    with pytest.raises(ConfigError, match="REKT_DATABASE_BATCH_SIZE"):
        read(environ={"REKT_DATABASE_BATCH_SIZE": "-1"})


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    """No repr, str or error tells a secret, also where its line is the one that is wrong."""
    path = ini(tmp_path, f"[TWITTER]\nconsumer_key = {SECRET}\n")
    settings = read(str(path))
    for shown in (repr(settings), str(settings), repr(settings.section("TWITTER")), f"{settings.sections}"):
        assert SECRET not in shown
    for text in (f"[TWITTER]\n{SECRET}\n", f"{SECRET}\n", f"[TWITTER]\nconsumer_key = a\n  {SECRET}\n"):
        with pytest.raises(ConfigError) as caught:
            read(str(ini(tmp_path, text)))
        assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        read(environ={"REKT_TWITTER_CONSUMER_KEY": f"{SECRET}\x1b"})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "key", "exposed"),
    [
        (0o600, "abc", False),
        (0o640, "abc", True),
        (0o604, "abc", True),
        (0o644, "YOUR_KEY", False),
        (0o620, "abc", True),
    ],
)
def test_exposed(tmp_path: Path, mode: int, key: str, exposed: bool) -> None:
    """A file is exposed when it holds a real key and others can read or change it."""
    assert read(str(ini(tmp_path, f"[TWITTER]\nconsumer_key = {key}\n", mode))).exposed is exposed


def test_paths_never_depend_on_the_working_directory(tmp_path: Path) -> None:
    """In the file they start from its folder, in the environment from the checkout or data folder; ~ is home."""
    path = ini(tmp_path / "conf", "[DATABASE]\npath = kept/a.db\n")
    root = tmp_path / "checkout"
    assert read(str(path), root=root, cwd=tmp_path).ledger_path == tmp_path / "conf/kept/a.db"
    environ = {"REKT_DATABASE_PATH": "b.db"}
    assert read(str(path), environ=environ, root=root, cwd=tmp_path).ledger_path == root / "b.db"
    assert read(environ={**environ, "XDG_DATA_HOME": "/d"}, cwd=tmp_path).ledger_path == Path("/d/rekt/b.db")
    assert read(environ={"REKT_DATABASE_PATH": "~/c.db"}).ledger_path == Path("/home/me/c.db")
    assert read(environ={"REKT_DATABASE_NAME": "other"}, root=root).ledger_path == root / "data/other.db"
    assert read(root=root).data_folder == root / "data"


def test_templates(tmp_path: Path) -> None:
    """[POST] templates, else beside the configuration in use, else in the working directory, else built in."""
    conf, cwd = tmp_path / "conf", tmp_path / "cwd"
    path = ini(conf, "")
    cwd.mkdir()
    assert read(str(path), cwd=cwd).templates_path is None
    (cwd / "tweets.txt").touch()
    assert read(str(path), cwd=cwd).templates_path == cwd / "tweets.txt"
    (conf / "tweets.txt").touch()
    assert read(str(path), cwd=cwd).templates_path == conf / "tweets.txt"
    assert read(str(path), cwd=cwd, environ={"REKT_POST_TEMPLATES": "/t.txt"}).templates_path == Path(
        "/t.txt"
    )


def test_folders_of_each_platform() -> None:
    """XDG's variables where they are absolute, Application Support on macOS."""
    assert user_folders({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}, "linux").config == Path(
        "/h/.config/rekt"
    )
    assert user_folders({"HOME": "/h"}, "darwin").data == Path("/h/Library/Application Support/rekt")


def test_settings_are_frozen(tmp_path: Path) -> None:
    """Nobody changes settings once they are read."""
    settings = read(cwd=tmp_path)
    with pytest.raises(AttributeError):
        settings.exposed = True  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.sections["X"] = settings.section("POST")  # type: ignore[index]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    """A file that may not be read is an error that says so."""
    path = ini(tmp_path, "", 0o000)
    with pytest.raises(ConfigError, match="can't be read"):
        read(str(path))


def test_every_setting_is_documented() -> None:
    """Each key has a sentence, a variable of its own, and a default that is right."""
    names = [variable(section, key) for section, keys in known_sections(EXTRA).items() for key in keys]
    assert len(names) == len(set(names))
    assert all(spec.doc for keys in SECTIONS.values() for spec in keys.values())
