"""``adarts doctor``: check this machine and suggest fixes."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from pydantic.dataclasses import dataclass

from adarts import __version__
from adarts.cli.options import FORM, parse
from adarts.cli.output import print_table
from adarts.config.values import Images

_GIB = 1 << 30
Check = tuple[str, bool | None, str, str]
"""(name, passed or None for what is not there and only needed for some tasks, what was found, advice if it failed)"""
_WORDS = {True: "ok", False: "warn", None: "-"}
_EXTRAS = {
    "export": (
        ("onnx", "onnxscript", "onnxruntime"),
        "adarts run, adarts export --to onnx, and predictions without torch",
    ),
    "timm": (("timm",), "comparisons with networks of timm"),
    "near": (("imagehash",), "nearly equal images in adarts data check"),
    "heatmaps": (("captum",), "heat maps of the worst mistakes in the report of a training"),
    "sweeps": (("submitit", "optuna"), "adarts tune, adarts sweep --on slurm, and the searcher tpe"),
    "ray": (("ray",), "adarts sweep --on ray"),
    "tensorboard": (("tensorboard",), "--track tensorboard"),
    "wandb": (("wandb",), "--track wandb"),
    "mlflow": (("mlflow",), "--track mlflow"),
    "hub": (("huggingface_hub",), "adarts export --to hub"),
}
"""Extra of the package -> the modules that it brings, and what needs them."""


@dataclass(frozen=True, config=FORM)
class Doctor:
    """Check this machine: what works, what is missing, and what that costs. Nothing is changed or downloaded."""

    root: Path = Path("data")
    """Folder of the named data sets."""
    runs: Path = Path("runs")
    """Parent of new run folders."""
    data: Images | None = None
    """Images to check as well, as --data of a search."""


def run(words: list[str]) -> int:
    """Run ``adarts doctor``."""
    form = parse(Doctor, words, "adarts doctor")
    checks = [*_machine(), *_extras(), *_disk(form.runs), *_data(form.root, form.data)]
    rows = [
        [name, _WORDS[fine], f"{found}: {advice}" if fine is False else found] for name, fine, found, advice in checks
    ]
    print_table(["check", "", "found"], rows)
    if warned := [name for name, fine, _, _ in checks if fine is False]:
        print(f"\nto mend: {', '.join(warned)}; each line says what it costs, and what to do")
    else:
        print("\nadarts can search and train here; to see it: adarts demo")
    return 0


def _machine() -> Iterator[Check]:
    yield "python", True, platform.python_version(), ""
    yield "adarts", True, __version__, ""
    try:
        import torch
        import torchvision
    except (ImportError, OSError) as error:  # OSError: a shared library is missing or incompatible
        yield "torch", False, " ".join(str(error).split()), "reinstall adarts in a fresh environment"
        return
    from adarts import kernels
    from adarts.report.cells import layout_program

    yield "torch", True, torch.__version__, ""
    yield "torchvision", True, torchvision.__version__, ""
    cpu_only = "CPU only; use the scales smoke, demo or cpu"
    yield "device", True, torch.cuda.get_device_name() if torch.cuda.is_available() else cpu_only, ""
    cores, threads = len(os.sched_getaffinity(0)), torch.get_num_threads()
    advice = f"more threads than cores are slower; use --threads {cores}"
    yield "threads", threads <= cores, f"torch uses {threads} on {cores} cores", advice
    native = kernels.status()
    built = native.functions is not None
    advice = "a search takes twice as long on a CPU; install a C++ compiler (g++ or clang++)"
    yield "kernels", built, f"native ({native.detail})" if built else native.detail, advice
    if torch.cuda.is_available():
        problem = kernels.triton_problem()
        yield "Triton", problem is None, problem or "its kernels run on the GPU", "a search takes longer on a GPU"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield "memory", memory >= 4 * _GIB, f"{memory / _GIB:.1f} GiB", "use a smaller scale or batch size"
    dot = layout_program()
    yield "dot", dot is not None, dot or "none", "cells are listed instead of drawn; pip install graphviz-pure"


def _extras() -> Iterator[Check]:
    for extra, (modules, use) in _EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        how = f"not installed; for {use}: pip install 'adarts[{extra}]'"
        yield extra, None if missing else True, how if missing else f"installed, for {use}", ""


def _disk(runs: Path) -> Iterator[Check]:
    place = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    yield "disk", free >= 2 * _GIB, f"{free / _GIB:.1f} GiB free at {place}", "free space, or choose another --runs"
    writable = os.access(place, os.W_OK)
    yield "runs", writable, f"{runs} is {'' if writable else 'not '}writable", "choose another --runs"


def _data(root: Path, data: str | None) -> Iterator[Check]:
    try:
        from adarts.config.settings import ImageSettings
        from adarts.data.check import check_data
        from adarts.data.named import CIFAR, trouble_with
    except (ImportError, OSError):  # without torch; said above
        return
    for name in CIFAR:
        trouble = trouble_with(name, root)
        how = "set its folder with --images.root, or use --download"
        if (
            trouble
            and trouble.endswith(" is missing")
            and not Path(trouble.removesuffix(" is missing")).parent.exists()
        ):
            yield f"data {name}", None, f"not here; to search on it, {how}", ""
        else:
            yield f"data {name}", trouble is None, trouble or f"in {root}", how
    if data is not None:
        found = check_data(data, ImageSettings(root=root))
        yield "images", found.images is not None, found.verdict.rstrip("."), "; ".join(found.problems)
