"""The kernels are never required: no compiler, home folder or damaged cache may end a run. With compilers that only pretend."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adarts.kernels import build

if build.status().functions is None:
    pytest.skip(f"no native kernels: {build.status().detail}", allow_module_level=True)

# The module alone: it knows nothing of torch.
CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("build", sys.argv[1])
build = sys.modules["build"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
if "no home" in sys.argv:
    def home(): raise RuntimeError("Could not determine home directory.")
    build.Path.home = home
status = build.status()
print(status.functions is not None, status.detail, status.build, sep="\\n")
"""
WORKS = 'case "$*" in *--version) printf "pretender 1.0\\377\\nand more\\n";; *) for to; do :; done; cp "{library}" "$to";; esac'


class Machine:
    """A PATH, a home folder and a folder for temporary files of their own."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.home, self.temporary = folder / "bin", folder / "home", folder / "temporary"
        for path in (self.bin, self.home, self.temporary):
            path.mkdir()
        self.cache = self.home / ".cache" / "adarts" / "kernels"

    def compiler(self, name: str, script: str = WORKS) -> None:
        library = build.status().functions
        assert library is not None
        path = self.bin / name
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script.format(library=library._name)}\n")
        path.chmod(0o755)

    def load(self, *how: str) -> tuple[bool, str, str]:
        """Whether there are kernels, how they were built or why not, and the build, as a new process sees it."""
        environment = {**os.environ, "PATH": str(self.bin), "HOME": str(self.home), "TMPDIR": str(self.temporary)}
        command = [sys.executable, "-c", CHILD, build.__file__, *how]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr or f"killed by signal {-done.returncode}"
        assert not list(self.temporary.iterdir())
        there, detail, key = done.stdout.splitlines()
        return there == "True", detail, key


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_build_is_kept_and_named(machine: Machine) -> None:
    machine.compiler("g++")
    there, detail, key = machine.load()
    assert there and detail.startswith("g++ -march=native") and key.startswith("pretender 1.0")
    (library,) = machine.cache.iterdir()
    machine.compiler("g++", 'case "$*" in *--version) printf "pretender 1.0\\377\\nand more\\n";; *) exit 1;; esac')
    assert machine.load() == (True, detail, key)
    machine.compiler("g++", WORKS.replace("1.0", "2.0"))
    there, _, other = machine.load()
    assert there and other.startswith("pretender 2.0") and other[-16:] != key[-16:]
    assert len(list(machine.cache.iterdir())) == 2 and library.exists()


def test_no_compiler(machine: Machine) -> None:
    assert machine.load() == (False, "no C++ compiler (g++ or clang++) is installed", "None")


@pytest.mark.parametrize(
    "script", ["exit 1", 'case "$*" in *--version) echo 1;; *) echo "no such option" >&2; exit 1;; esac']
)
def test_a_compiler_that_fails_makes_way_for_the_next(machine: Machine, script: str) -> None:
    machine.compiler("g++", script)
    there, detail, _ = machine.load()
    assert not there and detail.startswith("g++: ") and ("such" not in script or detail == "g++: no such option")
    machine.compiler("clang++")
    there, detail, _ = machine.load()
    assert there and detail.startswith("clang++ ")


def test_a_compiler_that_makes_no_library(machine: Machine) -> None:
    machine.compiler("g++", 'case "$*" in *--version) echo 1;; *) for to; do :; done; echo nothing > "$to";; esac')
    there, detail, _ = machine.load()
    assert not there and detail.startswith("g++: ")


@pytest.mark.parametrize("how", ["no home", "home is a file"])
def test_without_a_cache_the_kernels_are_built_for_the_process_alone(machine: Machine, how: str) -> None:
    machine.compiler("g++")
    if how == "home is a file":
        machine.home.rmdir()
        machine.home.write_text("")
    there, detail, _ = machine.load(how)
    assert there and detail.endswith("built for this process only: the cache cannot be written")


@pytest.mark.parametrize("share", [0.0, *(pytest.param(share, marks=pytest.mark.full) for share in (0.5, 0.99))])
def test_a_file_that_was_cut_off_is_built_again(machine: Machine, share: float) -> None:
    """To load it would kill the process: the system maps what is not there."""
    machine.compiler("g++")
    first = machine.load()
    (library,) = machine.cache.iterdir()
    whole = library.read_bytes()
    library.write_bytes(whole[: int(share * len(whole))])
    assert machine.load() == first
    assert library.read_bytes() == whole


def test_what_a_killed_build_left_is_removed(machine: Machine) -> None:
    machine.compiler("g++")
    for name, age in (("tmpold", 2 * 3600), ("tmpnew", 60)):
        (machine.cache / name).mkdir(parents=True)
        (machine.cache / name / "kernels.so").touch()
        modified = (machine.cache / name).stat().st_mtime - age
        os.utime(machine.cache / name, (modified, modified))
    assert machine.load()[0]
    assert [path.name for path in sorted(machine.cache.glob("tmp*"))] == ["tmpnew"]
