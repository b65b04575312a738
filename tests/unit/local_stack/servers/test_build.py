from __future__ import annotations

from pathlib import Path

import pytest

from local_stack.servers.build import GoServer
from shared.errors import StackError

NEW_GO, OLD_GO = "go1.26.0", "go1.21.3"


class Toolchain:
    """A `go` on the path that builds nothing: it notes what it was asked and writes the file that was wanted."""

    def __init__(self, folder: Path, *, version: str = NEW_GO, fails: bool = False) -> None:
        self.asked = folder / "asked"
        outcome = "echo 'missing go.sum entry'; exit 1" if fails else 'echo built > "$3"'
        script = folder / "go"
        script.write_text(
            "#!/bin/sh\n"
            f'if [ "$1" = env ]; then echo {version}; exit 0; fi\n'
            f'echo "$@" >> {self.asked}\n'
            "ls go.mod go.sum > /dev/null || exit 2\n"
            "echo 'go: downloading example.org/part v1.0.0'\n"
            f"{outcome}\n"
        )
        script.chmod(0o755)

    @property
    def builds(self) -> int:
        """How often something was built."""
        return len(self.asked.read_text().splitlines()) if self.asked.exists() else 0


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder where programs of the test are looked for before the system's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("PARLEY_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def server(tmp_path: Path) -> GoServer:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example.org/build\n")
    (module / "go.sum").write_text("example.org/part v1.0.0 h1:x\n")
    return GoServer("server", module, "example.org/server", "a second")


def test_a_server_is_built_once(server: GoServer, bin_dir: Path) -> None:
    go, told = Toolchain(bin_dir), list[str]()
    assert not server.up_to_date()
    assert server.build(told.append).read_text() == "built\n"
    assert server.up_to_date()
    server.build(told.append)
    assert go.builds == 1
    assert "go: downloading example.org/part v1.0.0" in told
    assert "already built" in told[-1]


def test_other_checksums_need_another_build(server: GoServer, bin_dir: Path) -> None:
    go = Toolchain(bin_dir)
    server.build(lambda _: None)
    (server.module_dir / "go.sum").write_text("example.org/part v1.1.0 h1:y\n")
    assert not server.up_to_date()
    server.build(lambda _: None)
    assert go.builds == 2


def test_a_build_that_fails_says_why_and_leaves_nothing(server: GoServer, bin_dir: Path) -> None:
    Toolchain(bin_dir, fails=True)
    with pytest.raises(StackError, match=r"missing go\.sum entry"):
        server.build(lambda _: None)
    assert not server.up_to_date()
    assert list(server.binary.parent.iterdir()) == []


def test_an_old_toolchain_is_told_apart(server: GoServer, bin_dir: Path) -> None:
    go = Toolchain(bin_dir, version=OLD_GO)
    with pytest.raises(StackError, match=f"{OLD_GO} is too old"):
        server.build(lambda _: None)
    assert go.builds == 0


def test_without_go_the_hint_says_how_to_get_it(
    server: GoServer, bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(bin_dir))
    with pytest.raises(StackError) as caught:
        server.build(lambda _: None)
    assert "make servers SERVERS=livekit" in caught.value.hint
