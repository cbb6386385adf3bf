"""What peers run in: a virtual environment for each, and Maven's folder for Java. Made when they are asked for, in
`.build/bench`, and made anew when what they need changes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Tuple

from tests.support.kafka_jars import BUILD, ROOT

FOLDER = BUILD / "bench"
JAVA = ROOT / "bench" / "peers" / "java"
NEEDS: Dict[str, Tuple[str, ...]] = {  # by the name of the environment; exact, so that results tell of something
    "confluent": ("confluent-kafka==2.16.1", "orjson==3.13.0"),
    "arroyo": ("sentry-arroyo==2.48.0", "confluent-kafka==2.16.1", "orjson==3.13.0"),
    "aiokafka": ("aiokafka==0.14.0", "orjson==3.13.0"),
    "faststream": ("faststream[kafka,cli]==0.7.8", "aiokafka==0.14.0"),
}
LISTED = "import importlib.metadata as m, json; print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"


class UnavailableError(Exception):
    """A peer can't be had on this machine. The text says why; the bench goes on without it."""


def python_of(name: str) -> str:
    """The interpreter of an environment."""
    folder = FOLDER / name
    python = folder / "bin" / "python"
    if _changed(folder, "\n".join([sys.version, *NEEDS[name]])):
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *NEEDS[name])
        _note(folder, "\n".join([sys.version, *NEEDS[name]]))
    return str(python)


def classpath() -> str:
    """The classes of the Java peer, compiled, with all they need."""
    for tool in ("javac", "mvn"):
        if not shutil.which(tool):
            raise UnavailableError(f"{tool} is not installed (openjdk-17-jdk-headless, maven)")
    folder = FOLDER / "java"
    sources = "".join(path.read_text() for path in sorted(JAVA.rglob("*")) if path.is_file())
    if _changed(folder, sources):
        shutil.rmtree(folder, ignore_errors=True)
        command = ["mvn", "-q", "-B", "-f", str(JAVA / "pom.xml"), f"-Dbench.build={folder}", "package"]
        _run(*command, "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'libs'}")
        _note(folder, sources)
    return f"{folder / 'peer.jar'}:{folder / 'libs'}/*"


def versions(python: str) -> Dict[str, str]:
    """Of all that is installed beside this interpreter."""
    listed: Dict[str, str] = json.loads(subprocess.run([python, "-c", LISTED], stdout=subprocess.PIPE, check=True).stdout)
    return listed


def _changed(folder: Path, content: str) -> bool:
    stamp = folder / "made-of"
    return not stamp.exists() or stamp.read_text() != hashlib.sha256(content.encode()).hexdigest()


def _note(folder: Path, content: str) -> None:
    (folder / "made-of").write_text(hashlib.sha256(content.encode()).hexdigest())


def _run(*command: str) -> None:
    """Raises UnavailableError with the last of what it said."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env={**os.environ, "PYTHONNOUSERSITE": "1"},
    )  # fmt: skip
    if done.returncode:
        raise UnavailableError(f"{' '.join(command[:4])} … failed: {done.stdout.strip()[:500]}")
