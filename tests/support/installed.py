"""The service installed as a user would: an sdist of this checkout, a wheel of that, in a fresh environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Optional

from tests.support.kafka_jars import ROOT

SDIST = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"


def source(folder: Path) -> Path:
    """What git has or would take of this checkout, elsewhere: building writes beside the sources."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


class Installed:
    """An environment of an interpreter, with the wheel and what it requires."""

    def __init__(self, interpreter: str, folder: Path, wheel: Optional[Path] = None) -> None:
        """Takes half a minute: pip fetches what is required. The wheel is built here if none is given."""
        self._folder = folder / "env"
        self.python = str(self._folder / "bin" / "python")
        self.command = str(self._folder / "bin" / "kafka-worker")
        self.folder = folder
        run(interpreter, "-m", "venv", str(self._folder))
        self.wheel = wheel or self._built(folder / "dist")
        self._pip("install", str(self.wheel))

    def _built(self, dist: Path) -> Path:
        """The wheel, of an sdist of this checkout."""
        self._pip("install", "--upgrade", "setuptools>=64", "wheel")
        run(self.python, "-c", SDIST, str(dist), cwd=source(self.folder / "source"))
        sdist = next(dist.glob("*.tar.gz"))
        self._pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(dist), str(sdist))
        return next(dist.glob("*.whl"))

    @property
    def site_packages(self) -> Path:
        """Where it is installed."""
        return next(self._folder.glob("lib/python*/site-packages"))

    def _pip(self, command: str, *words: str) -> None:
        run(self.python, "-m", "pip", "--disable-pip-version-check", command, "--quiet", *words)


def run(*words: str, cwd: Path = ROOT) -> str:
    """What a program prints. Fails with all it says."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
