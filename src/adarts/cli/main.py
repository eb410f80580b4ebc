"""The entry point: finds the verb, and turns what goes wrong into one line and an exit code.

Nothing heavy is imported here: ``adarts --help`` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence

import adarts
from adarts.errors import AdartsError, ConfigError, Stopped, nearest
from adarts.experiments.next_steps import in_lines
from adarts.launch import leads, planned

VERBS = {
    "demo": "search on the embedded digits and see what the found cell is worth, in a few minutes",
    "run": "from a folder of images to a network to deploy: plan, search, train, compare, export",
    "search": "search for cells",
    "sweep": "search over a grid of seeds, methods and settings, and sum up over the seeds",
    "tune": "let Optuna choose settings of a search, by several processes at once",
    "explore": "compare searchers in spaces whose cells are known, in seconds",
    "reproduce": "reproduce the tables and figures of the ADARTS paper, with seeds and statistics",
    "train": "train the network of found, given or random cells, or a hand-designed one",
    "evaluate": "measure a trained network on the test images",
    "predict": "tell the classes of image files, from a training or an exported file",
    "serve": "serve a network: a page to drop a picture on, and a JSON endpoint",
    "export": "write a trained network as a file for other programs, and check it",
    "data": "check images before a search",
    "report": "write one offline HTML page that shows runs",
    "methods": "list the search methods, or show one",
    "zoo": "list the published cells and hand-designed networks, or show one",
    "truth": "tell what cells are worth: true accuracies in NAS-Bench-201, estimates in the DARTS space",
    "configs": "list the scales, or show one",
    "doctor": "check this machine and say what to mend",
    "completion": "print a script with which a shell completes verbs, options and values",
}

_HELP = f"""usage: adarts VERB [OPTIONS]

Differentiable neural architecture search.

verbs:
{"".join(f"  {name:<12}{what}{chr(10)}" for name, what in VERBS.items())}
options:
  --version   print the version and exit
  --debug     show the traceback of an error, with any verb
  --space     FILE.py:NAME, with any verb: execute the file of a space, for the operations that it registers
  -h, --help  print this, or with a verb its options

start here:
  adarts doctor  # what is missing on this machine, and what that costs
  adarts demo    # a search on digits, and what its cell is worth, in a few minutes
then:
{in_lines()}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: the words after ``adarts``; those of the process if not given.
    """
    _prepare_output()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except AdartsError as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, Stopped) and not leads():  # the first process says so for all
            return error.exit_code
        from adarts.cli.output import complain

        return complain(error)
    except SystemExit as asked:  # by a verb's --help
        return int(asked.code or 0)
    except KeyboardInterrupt:
        if debug:
            traceback.print_exc()
        print("adarts: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (`| head`) has enough; the interpreter must not complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # any word can be asked for as a file
            from adarts.cli.output import complain
            from adarts.config.reading import shown

            return complain(ConfigError(f"{shown(error.filename)}: {error.strerror}"))
        if debug:
            raise
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        from adarts.source_file import place_of  # an error in a file that somebody named is theirs

        print(
            f"adarts: {place_of(error) or 'a bug'}: {what}; run again with --debug for the traceback", file=sys.stderr
        )
        return 1


def _prepare_output() -> None:
    """Let the output replace what the terminal cannot show, and go nowhere if it is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_HELP)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"adarts {adarts.__version__}")
        return 0
    if words[0] not in VERBS:
        kind = "option" if words[0].startswith("-") else "verb"
        known = ("--help", "--version", "--debug") if kind == "option" else VERBS
        raise ConfigError(f"unknown {kind} '{words[0]}'{nearest(words[0], known)}")
    verb, words = words[0], words[1:]
    if planned() and verb not in ("search", "train"):
        raise ConfigError(f"`adarts {verb}` runs in one process; several processes can share a search or a training")
    run = importlib.import_module(f"adarts.cli.{verb}").run
    return int(
        run(words if verb in ("search", "sweep", "tune", "explore") else _without_space(words))
    )  # for these it is a setting


def _without_space(words: list[str]) -> list[str]:
    """The words without ``--space FILE.py:NAME``, whose file is executed: cells may have operations of its own."""
    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--space=") else [word])]
    if "--space" not in words[:-1]:
        return words
    from adarts.config.values import names_code
    from adarts.spaces import get_space

    place = words.index("--space")
    if not names_code(words[place + 1]):
        raise ConfigError(f"--space takes FILE.py:NAME here, not {words[place + 1]!r:.60}")
    get_space(words[place + 1])
    return words[:place] + words[place + 2 :]
