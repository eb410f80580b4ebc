"""Every parser of something that anybody may have written: how to make inputs for it, and how it is called.

A parser here is a function of (folder, runs). It prepares the folder, in which it lies alone, and returns a strategy of inputs
and the function that reads one. `runs` makes a folder with a finished search and a finished training, once for all.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import yaml
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

import adarts
from adarts.cli.main import main
from adarts.config.loading import to_yaml
from adarts.config.settings import ImageSettings, RunSettings, SearchConfig
from adarts.data.check import check_data
from adarts.data.decode import Unreadable, read_header
from adarts.engine import RunFolder, parse_time_limit, prepare_device, read_config
from adarts.errors import AdartsError
from adarts.experiments.reproducing.runs import Runs
from adarts.exploring import Budget, Exploration, run_exploration
from adarts.export.export import export
from adarts.export.facts import Facts
from adarts.export.loaded import OnnxModel, load
from adarts.pipeline.plan import read_plan
from adarts.report import write_report
from adarts.searching import run_search, search_config
from adarts.searching.finished import load_search
from adarts.spaces import DARTS, NASBENCH201, Genotype, get_space, load_genotype, random_genotype
from adarts.sweeping.control import status
from adarts.sweeping.executors.record import Record
from adarts.sweeping.pages import content
from adarts.sweeping.paper import write_paper
from adarts.sweeping.points import Point
from adarts.sweeping.results import PointResult, groups
from adarts.training import run_training, train_config
from adarts.training.model import resolve_genotype
from adarts.truth.stability import stability
from spaces.test_importers import CONFIGURATION, TRIPLES

from .hostile import VALUES, altered, as_json, edited, like

Read = Callable[[Any], object]
Begun = tuple[st.SearchStrategy[Any], Read]


@dataclass(frozen=True)
class Parser:
    """A parser.

    Attributes:
        name: its name.
        begin: (folder, runs) -> inputs, and the function that reads one.
        found: inputs that it once did not refuse in one line.
        slow: whether it needs runs, whose making takes long, or draws a page; then `make test-full` tries it.
    """

    name: str
    begin: Callable[[Path, Callable[[], Path]], Begun]
    found: tuple[Any, ...] = ()
    slow: bool = False


PARSERS: list[Parser] = []


def parser(*found: Any, slow: bool = False) -> Callable[[Callable[[Path, Callable[[], Path]], Begun]], None]:
    """Register a parser, with the inputs that it once did not refuse in one line."""
    return lambda begin: PARSERS.append(Parser(begin.__name__.replace("_", " "), begin, found, slow))


CLASSIC = random_genotype(DARTS, 3).to_text()
NNI = {
    f"{cell}/{kind}_{node}_{edge}": "skip_connect" if kind == "op" else [edge]
    for cell in ("normal", "reduce")
    for kind in ("op", "input")
    for node in range(2, 6)
    for edge in (0, 1)
}
OWN_SPACE = DARTS.to_dict() | {
    "name": "fuzz",
    "operations": ["skip_connect", "sep_conv_3x3"],
    "weight_free": ["skip_connect"],
}
OWN_CELLS = random_genotype(DARTS, 1).to_dict()["cells"]
CELLS = {
    "format": "adarts-genotype",
    "version": 1,
    "space": OWN_SPACE,
    "cells": {
        kind: {"nodes": [[["skip_connect", 0], ["sep_conv_3x3", 1]]] * 4, "concat": [2, 3, 4, 5]} for kind in OWN_CELLS
    },
}
EXECUTES = "__import__('os').system('touch ../executed')"


@parser()
def genotype(folder: Path, runs: Callable[[], Path]) -> Begun:
    """All forms of a genotype, as a file and as a text."""
    texts = [
        CLASSIC.encode(),
        TRIPLES.encode(),
        random_genotype(NASBENCH201, 1).to_text().encode(),
        repr({"normal": [("skip_connect", 0)] * 8, "normal_concat": range(2, 6)}).encode(),
        b"from collections import namedtuple\n# cells\nV1 = " + CLASSIC.encode(),
        b"random:nasbench201:3",
        b"2020-01-01 genotype = " + CLASSIC.encode(),
    ]
    documents = [
        random_genotype(DARTS, 1).to_dict(),
        random_genotype(NASBENCH201, 2).to_dict(),
        CELLS,
        CONFIGURATION,
        NNI,
    ]
    tokens = [
        EXECUTES.encode(),
        b"range(9999)",
        b"range(-1)",
        b"list(",
        b"lambda: 0",
        b"sep_conv_3x3",
        b"np.int64(3)",
        b"\\\n",
    ]

    def read(found: bytes) -> None:
        (folder / "cells").write_bytes(found)
        for reading in (partial(load_genotype, folder / "cells"), partial(resolve_genotype, os.fsdecode(found))):
            with contextlib.suppress(AdartsError):
                cells = reading()
                assert Genotype.from_json(cells.to_json()) == cells
                if cells.has_text:
                    cells.to_text()

    return edited(texts, tokens) | like(*documents, tokens=tokens), read


YAML_TOKENS = [
    f"!!python/object/apply:os.system ['{'touch ../executed'}']".encode(),
    *(
        f"!!{tag} ''".encode()
        for tag in ("int", "float", "bool", "null", "timestamp", "binary", "set", "omap", "pairs", "python/none")
    ),
    b"!!timestamp 2001-99-99",
    b"2001-99-99",
    b"1:59:59" * 3,
    b"1" + b":59" * 200 + b".5",
    b"0x" + b"f" * 500,
    b"&a [*a]",
    b"<<: {seed: 1}",
    b"? [1]\n: 2\n",
    b"%YAML 9.9\n---\n",
    b"\t- ",
    b"|\n  x",
    b'"\\0"',
    b'"\\ud800"',
]


def as_yaml(document: Any) -> bytes:
    """YAML, as a person or a program writes it."""
    return yaml.safe_dump(json.loads(as_json(document)), allow_unicode=True).encode(errors="surrogatepass")


@parser(
    *(
        f"seed: {value}\n".encode()
        for value in ("!!int ''", "!!bool x", "!!float ''", "!!timestamp x", "1" + ":59" * 200 + ".5")
    )
)
def configuration(folder: Path, runs: Callable[[], Path]) -> Begun:
    """The settings of a search and of a training in a file."""
    documents = [
        yaml.safe_load(to_yaml(search_config(scale="smoke"))),
        {"search": {"epochs": 2}, "seed": 1, "options": "a=1"},
    ]
    training = yaml.safe_load(to_yaml(train_config(scale="smoke", genotype="random:1")))

    def read(found: bytes) -> None:
        (folder / "config.yaml").write_bytes(found)
        for config in (search_config, train_config):
            with contextlib.suppress(AdartsError):
                made = config(folder / "config.yaml")
                text = to_yaml(made)
                (folder / "again.yaml").write_text(text, encoding="utf-8")
                assert config(folder / "again.yaml", **_code(made)) == made

    return like(*documents, training, write=as_yaml, tokens=YAML_TOKENS), read


def _code(config: Any) -> dict[str, str]:
    from adarts.config.settings import code_in

    return code_in(config)


@parser(b"format: 1\nseed: !!bool x\n")
def plan(folder: Path, runs: Callable[[], Path]) -> Begun:
    """A plan of `adarts run`."""
    document = {
        "format": 1,
        "data": "folder:photos",
        "size": 32,
        "limits": {"max_params": 1000, "max_latency": 0.5},
        "search": {"trials": 4, "size": 16},
        "network": {"cells": 3, "channels": 8},
        "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.025, "class_weights": "equal", "held_out": 0.1},
        "rivals": ["random:1", "timm:mobilenetv3_small_050@weights.pth"],
    }

    def read(found: bytes) -> None:
        (folder / "plan.yaml").write_bytes(found)
        read_plan(folder / "plan.yaml")

    return like(document, write=as_yaml, tokens=YAML_TOKENS), read


SURFACE = [line.split(" ", 1) for line in (Path(__file__).parents[1] / "cli" / "surface.txt").read_text().splitlines()]
OPTIONS = [
    (verb, word.split(" ")[0].rstrip(","))
    for verb, word in SURFACE
    if word.startswith("--") and verb in ("search", "train", "sweep")
]
_WORDS = """0 -1 1e999 nan a=b,c = ,,, a= edge.k=2,4 seed=1 0-9 9-1 none true ../x / ~x ~ . x.py:Y folder: options.x=1 cuda:9 1h
1e3 random:1 random:x:1 |none~0| { Genotype( Genotype(normal=1) timm:x -- - --help=1 run.device=cpu"""
_ODD = ("", "9" * 5000, "\udcff", "\x1b[2J", "a\nb", "x" * 300)
WORDS = st.sampled_from((*_WORDS.split(), *_ODD)) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=12
)
FORMS = [
    ("methods",),
    ("configs",),
    ("zoo", "show"),
    ("truth",),
    ("truth", "stability"),
    ("truth", "correlation"),
    ("truth", "floors"),
]
FORMS += [
    ("report",),
    ("evaluate",),
    ("predict", "."),
    ("predict",),
    ("export",),
    ("data", "check"),
    ("sweep", "status"),
    ("sweep", "stop"),
]
FORMS += [
    ("run",),
    ("run", "x", "--time-budget"),
    ("run", "--plan"),
    ("explore", "--budget"),
    ("reproduce",),
    ("serve",),
    ("zoo", "--sort"),
]


@parser(["report", "9" * 300], ["zoo", "show", "9" * 300], ["sweep", "stop", "9" * 300])
def command_line(folder: Path, runs: Callable[[], Path]) -> Begun:
    """Words after `adarts`, none of which begins work."""
    base = {
        "search": ["search", "--print-config", "--scale", "smoke"],
        "train": ["train", "--print-config", "--scale", "smoke", "--genotype", "random:1"],
        "sweep": ["sweep", "--print-config", "--scale", "smoke"],
    }
    settings = st.tuples(st.sampled_from(OPTIONS), WORDS).map(lambda one: [*base[one[0][0]], one[0][1], one[1]])
    joined = st.tuples(st.sampled_from(OPTIONS), WORDS).map(lambda one: [*base[one[0][0]], f"{one[0][1]}={one[1]}"])
    vary = st.tuples(st.sampled_from(OPTIONS), WORDS, WORDS).map(
        lambda one: [*base["sweep"], "--vary", f"{one[0][1].removeprefix('--')}={one[1]},{one[2]}"]
    )
    others = st.tuples(st.sampled_from(FORMS), WORDS).map(lambda one: [*one[0], one[1]])

    def read(words: list[str]) -> None:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main([*words, "--debug"])

    return settings | joined | vary | others | st.lists(WORDS, max_size=3), read


@parser()
def small_texts(folder: Path, runs: Callable[[], Path]) -> Begun:
    """Times, budgets, devices."""

    def read(text: str) -> None:
        for parse in (parse_time_limit, Budget.parse, lambda text: prepare_device(RunSettings(device=text))):
            with contextlib.suppress(AdartsError):
                parse(text)

    return WORDS | st.text(st.sampled_from("0123456789hms. :acdu"), max_size=14), read


class Evil:
    """What a pickle may ask for."""

    def __reduce__(self) -> Any:
        return os.system, ("touch ../executed",)


TENSORS = st.sampled_from(
    (
        torch.zeros(0),
        torch.zeros(3, dtype=torch.int64),
        torch.full((2,), float("nan")),
        torch.zeros(1).expand(10**11),
        torch.eye(2).to_sparse(),
        torch.zeros(2, dtype=torch.complex64),
        torch.zeros(1, device="meta"),
    )
)


def sealed(content: Any) -> bytes:
    """A checkpoint file with a correct checksum."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue() + b"adarts-sha256:" + hashlib.sha256(buffer.getvalue()).hexdigest().encode()


@parser(pickle.dumps(Evil()), slow=True)
def checkpoint(folder: Path, runs: Callable[[], Path]) -> Begun:
    """The checkpoint of a search, whose checksum anybody can compute."""
    search, last = folder / "search", Path("checkpoints", "last.pt")
    shutil.copytree(runs() / "search", search)
    (search / "checkpoints" / "previous.pt").unlink(missing_ok=True)
    good = (search / last).read_bytes()
    known = torch.load(io.BytesIO(good[: -len("adarts-sha256:") - 64]), weights_only=True)

    def sealed_again(content: bytes) -> bytes:
        return content + b"adarts-sha256:" + hashlib.sha256(content).hexdigest().encode()

    evil = io.BytesIO()
    torch.save({**known, "state": {"task": Evil()}}, evil)
    raw = [evil.getvalue(), good[: -len("adarts-sha256:") - 64], pickle.dumps(Evil()), b""]

    def read(content: bytes) -> None:
        (search / last).write_bytes(content)
        load_search(search, RunSettings(device="cpu"))

    return altered(known, VALUES | TENSORS).map(sealed) | edited(raw).map(sealed_again) | edited([good]), read


@parser(slow=True)
def model(folder: Path, runs: Callable[[], Path]) -> Begun:
    """The files of a trained network."""
    shutil.copytree(runs() / "train", folder / "train")
    names = ("model.json", "genotype.json", "summary.json", "model.safetensors")
    return _files(folder / "train", names, lambda: load(folder / "train"))


@parser(slow=True)
def safetensors_file(folder: Path, runs: Callable[[], Path]) -> Begun:
    """What `adarts export --to safetensors` writes."""
    good = _exported(runs(), "safetensors")
    weights = safetensors.torch.load(good)
    with io.BytesIO(good) as file:
        header = json.loads(file.read(8 + int.from_bytes(good[:8], "little"))[8:])
    held = json.loads(header["__metadata__"]["adarts"])

    def read(content: bytes) -> None:
        (folder / "network.safetensors").write_bytes(content)
        load(folder / "network.safetensors")

    known = altered(held).map(lambda one: safetensors.torch.save(weights, {"adarts": as_json(one).decode()}))
    heads = edited([json.dumps(header).encode()]).map(
        lambda one: len(one).to_bytes(8, "little") + one + good[8 + len(one) :]
    )
    return known | heads | edited([good]), read


@cache
def _exported(runs: Path, form: str) -> bytes:
    return export(runs / "train", form).path.read_bytes()


FACTS = Facts(("cat", "dog"), (8, 8), 1, (0.5,), (0.25,), "digits", "0" * 64, 0.5, 10)


def small_onnx(texts: dict[str, str], kind: int = TensorProto.UINT8, size: Any = (8, 8), extra: Any = ()) -> bytes:
    """A file that classifies by the mean of the pixels, with these metadata."""
    pixels = helper.make_tensor_value_info("pixels", kind, ["batch", 1, *size])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    nodes = [
        helper.make_node("Cast", ["pixels"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["found"]),
        *(extra or [helper.make_node("Identity", ["found"], ["logits"])]),
    ]
    weights = [
        helper.make_tensor("w", TensorProto.FLOAT, [1, 2], [1.0, -1.0]),
        helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
        helper.make_tensor("huge", TensorProto.INT64, [2], [1, 10**7]),
        helper.make_tensor("nan", TensorProto.FLOAT, [1], [float("nan")]),
    ]
    graph = helper.make_graph(nodes, "network", [pixels], [logits], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(proto, texts)
    return proto.SerializeToString()


def other_graphs() -> list[bytes]:
    """Files whose graph does something else than what is declared."""
    node, texts = helper.make_node, FACTS.to_texts()
    first_row = [node("Gather", ["found", "zero"], ["logits"], axis=0)]
    no_rank = [node("Flatten", ["found"], ["rows"], axis=0), node("Identity", ["rows"], ["logits"])]
    missing = [node("Mul", ["found", "nan"], ["logits"])]
    wide = [node("Expand", ["found", "huge"], ["logits"])]
    unknown = [node("Unknown", ["found"], ["logits"], domain="evil")]
    huge = {**texts, "image_size": "[1000000, 1000000]"}
    graphs = [small_onnx(texts, extra=extra) for extra in (first_row, no_rank, missing, wide, unknown)]
    return [*graphs, small_onnx(texts, TensorProto.FLOAT), small_onnx(huge, size=(10**6, 10**6))]


@parser(*other_graphs())
def onnx_file(folder: Path, runs: Callable[[], Path]) -> Begun:
    """An ONNX file, its metadata and its graph."""
    Image.new("L", (9, 9)).save(folder / "a.png")
    Image.new("L", (9, 9)).save(folder / "b.png")
    texts = FACTS.to_texts()
    known = altered({name: json.loads(text) for name, text in texts.items()}).filter(lambda one: isinstance(one, dict))
    written = known.map(
        lambda one: small_onnx(
            {str(name).replace("\ud800", ""): as_json(value).decode() for name, value in one.items()}
        )
    )

    def metadata(name: str) -> st.SearchStrategy[bytes]:
        return edited([texts[name].encode()]).map(lambda one: small_onnx({**texts, name: one.decode(errors="replace")}))

    def read(content: bytes) -> None:
        (folder / "model.onnx").write_bytes(content)
        found = adarts.predict(
            OnnxModel(folder / "model.onnx", threads=1), [folder / "a.png", folder / "b.png"], threads=1
        )
        assert len(found) == 2 and all(one.error or one.guesses for one in found)

    return written | st.sampled_from(list(texts)).flatmap(metadata) | edited([small_onnx(texts)]), read


@parser(slow=True)
def timm_weights(folder: Path, runs: Callable[[], Path]) -> Begun:
    """A file of weights for a network of timm."""
    import timm

    network = timm.create_model("test_resnet", num_classes=2)
    weights = dict(network.state_dict())

    def saved(content: Any) -> bytes:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        return buffer.getvalue()

    def read(content: tuple[str, bytes]) -> None:
        file = folder / f"weights{content[0]}"
        file.write_bytes(content[1])
        adarts.create_model("timm:test_resnet", num_classes=3, pretrained=file)

    evil = saved({**weights, "conv1.weight": Evil()})
    old = st.tuples(
        st.just(".pth"),
        altered(weights, VALUES | TENSORS).map(saved) | edited([evil, pickle.dumps(Evil()), saved(weights)]),
    )
    return old | st.tuples(st.just(".safetensors"), edited([safetensors.torch.save(weights)])), read


@cache
def pictures() -> list[bytes]:
    """Small pictures in every format and pixel format that is read."""
    gray = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(12, 16))
    rgb = Image.merge("RGB", (gray, gray.transpose(Image.Transpose.FLIP_LEFT_RIGHT), gray))
    deep = Image.fromarray(np.arange(192, dtype=np.uint16).reshape(12, 16) * 300)
    exif = Image.Exif()
    exif[0x0112] = 6
    found = []
    for image, form, how in (
        *((rgb.convert(mode), "PNG", {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
        (deep, "PNG", {}),
        (rgb, "PNG", {"save_all": True, "append_images": [rgb, gray.convert("RGB")]}),
        *((rgb.convert(mode), "JPEG", {"exif": exif}) for mode in ("L", "RGB", "CMYK")),
        (rgb, "JPEG", {"progressive": True}),
        *((rgb.convert(mode), "BMP", {}) for mode in ("1", "L", "P", "RGB")),
        (rgb.convert("P"), "GIF", {"save_all": True, "append_images": [gray.convert("P")]}),
        (rgb, "WEBP", {}),
        (rgb.convert("RGBA"), "WEBP", {"lossless": True, "save_all": True, "append_images": [rgb.convert("RGBA")]}),
        *(
            (rgb, "TIFF", {"compression": name})
            for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        ),
        (deep, "TIFF", {}),
        (gray.convert("F"), "TIFF", {}),
        (gray.convert("I"), "TIFF", {"save_all": True, "append_images": [gray.convert("I")]}),
        (rgb.convert("1"), "TIFF", {"compression": "group4"}),
        (rgb, "PPM", {}),
        (gray, "PPM", {}),
        (rgb, "AVIF", {}),
        (rgb, "JPEG2000", {}),
    ):
        with io.BytesIO() as file:
            image.save(file, form, **how)
            found.append(file.getvalue())
    return [
        *found,
        b"P5 99999 99999 255\n",
        b"P2\n4 4 255\n" + b"7 " * 16,
        b"P3 1 1 65535 9 9 99999",
        b"Pf\n2 2\n-1.0\n" + bytes(16),
    ]


@parser()
def image(folder: Path, runs: Callable[[], Path]) -> Begun:
    """An image file."""
    sizes = [
        value.to_bytes(width, order)
        for value in (0, 1, 9459, 30_000, 65_535)
        for width in (2, 4)
        for order in ("big", "little")
    ]
    facts = {"image_size": (8, 8), "in_channels": 3, "mean": (0.5,) * 3, "std": (0.5,) * 3}

    def read(content: bytes) -> None:
        (folder / "photo.png").write_bytes(content)
        with contextlib.suppress(Unreadable):
            read_header(folder / "photo.png")
        for channels in (1, 3):
            with contextlib.suppress(AdartsError):
                some = {"mean": (0.5,) * channels, "std": (0.5,) * channels}
                assert adarts.prepare(folder / "photo.png", facts | some | {"in_channels": channels}).shape == (
                    1,
                    channels,
                    8,
                    8,
                )

    return edited(pictures(), [*sizes, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0"]), read


@parser(b"".join(b"%d.png,%s\n" % (n, b"12"[n % 2 : n % 2 + 1] * 5000) for n in range(6)))
def labels(folder: Path, runs: Callable[[], Path]) -> Begun:
    """A table of labels."""
    for number in range(6):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / f"{number}.png")
    table = b"filename,label,split\n" + b"".join(
        b"%d.png,%s,%s\n" % (n, b"ab"[n % 2 : n % 2 + 1], b"train" if n < 4 else b"test") for n in range(6)
    )
    plain = b"".join(b"%d;%s\n" % (n, b"cat" if n % 2 else b"dog") for n in range(6))
    tokens = [
        b"1" * 4301,
        "٣".encode(),
        b"../../../etc/passwd",
        b"/dev/zero",
        b"x" * 300,
        b'"',
        b'"\n',
        b";",
        b"\t",
        b",,",
        b"\x85",
    ]

    def read(content: bytes) -> None:
        (folder / "labels.csv").write_bytes(content)
        found = check_data(f"folder:{folder / 'labels.csv'}", ImageSettings())
        json.dumps(found.record())

    return edited([table, plain], tokens), read


def as_lines(documents: Any) -> bytes:
    """A JSON document on each line."""
    return b"".join(as_json(one) + b"\n" for one in (documents if isinstance(documents, list) else [documents]))


def _files(folder: Path, names: tuple[str, ...], read: Callable[[], object]) -> Begun:
    """Other content of one of the files of a folder."""
    good = {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}

    def others(name: str) -> st.SearchStrategy[bytes]:
        if name.endswith(".json"):
            return like(json.loads(good[name]))
        if name.endswith(".jsonl"):
            records = [json.loads(line) for line in good[name].splitlines()]
            return like(records, write=as_lines)
        if name.endswith(".yaml"):
            return like(yaml.safe_load(good[name]), write=as_yaml, tokens=YAML_TOKENS)
        return edited([good[name]])

    def attempt(content: tuple[str, bytes]) -> None:
        for name, usual in good.items():
            (folder / name).write_bytes(content[1] if content[0] == name else usual)
        read()

    return st.sampled_from(list(good)).flatmap(lambda name: st.tuples(st.just(name), others(name))), attempt


RUN_FILES = (
    "config.yaml",
    "metrics.jsonl",
    "summary.json",
    "data.json",
    "environment.json",
    "genotype.json",
    "answers.json",
)


@parser(
    ("metrics.jsonl", b"[" * 5000 + b"\n"),
    ("summary.json", b'{"supernet_parameters": 1' + b"0" * 400 + b"}"),
    slow=True,
)
def report_of_a_search(folder: Path, runs: Callable[[], Path]) -> Begun:
    """All that a report reads of a search."""
    shutil.copytree(runs() / "search", folder / "run")
    front = {
        "cells": [
            {"accuracy": 90.0, "parameters": 10_000, "genotype": random_genotype(DARTS, 1).to_dict(), "truth": None}
        ]
    }
    (folder / "run" / "front.json").write_bytes(as_json(front))
    return _files(folder / "run", (*RUN_FILES, "front.json"), lambda: write_report([folder / "run"]))


@parser(
    ("summary.json", b'{"kind": "train", "parameters": 1' + b"0" * 400 + b"}"),
    *(
        ("metrics.jsonl", b'{"epoch": 0, "learning_rate": %s}\n' % rate)
        for rate in (b"1e308", b"1" + b"0" * 400, b"-%d" % 2**70)
    ),
    ("answers.json", b'{"classes": [], "confused": []}'),
    slow=True,
)
def report_of_a_training(folder: Path, runs: Callable[[], Path]) -> Begun:
    """All that a report reads of a training."""
    shutil.copytree(runs() / "train", folder / "run")
    return _files(folder / "run", RUN_FILES, lambda: write_report([folder / "run"]))


@parser(
    ("summary.json", b"{}"),
    ("summary.json", b"[" * 5000),
    ("config.yaml", b"format: 1\n? " + b"x" * 3000 + b"\n: null\n"),
    slow=True,
)
def finished_search(folder: Path, runs: Callable[[], Path]) -> Begun:
    """All that the same command reads of a search that is finished."""
    shutil.copytree(runs() / "search", folder / "run")
    config = _here(read_config(folder / "run", SearchConfig), folder)
    names = ("config.yaml", "summary.json", "data.json", "environment.json", "genotype.json", "metrics.jsonl")
    return _files(folder / "run", names, lambda: _quiet(lambda: run_search(config).verdict))


@parser(("environment.json", b"{}"), ("data.json", b"[" * 5000), slow=True)
def unfinished_training(folder: Path, runs: Callable[[], Path]) -> Begun:
    """All that the same command reads of a training whose results were not written yet."""
    from adarts.config.settings import TrainConfig

    shutil.copytree(runs() / "train", folder / "run")
    (folder / "run" / "summary.json").unlink()
    config = _here(read_config(folder / "run", TrainConfig), folder)
    names = ("config.yaml", "data.json", "environment.json", "genotype.json", "metrics.jsonl")

    def again() -> None:
        (folder / "run" / "summary.json").unlink(missing_ok=True)
        _quiet(lambda: run_training(config))

    return _files(folder / "run", names, again)


def _here(config: Any, folder: Path) -> Any:
    return config.model_copy(update={"run": config.run.model_copy(update={"run_dir": folder / "run"})})


def _quiet(call: Callable[[], object]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        call()


NO_SWEEP = {"format": "adarts-sweep", "version": 2} | {
    name: [] for name in ("points", "trainings", "groups", "networks", "largest_class")
}
POINT = {"name": "a", "folder": "points/adarts-seed0", "epochs": 2, "state": "finished", "error": None}
GROUP = {"settings": {"method": "adarts"}, "figures": {"seconds": {"n": 1, "mean": 1.0, "sd": None, "more": 0}}}


@parser(
    ("sweep.json", b'{"format": "adarts-sweep", "version": 2}'),
    ("sweep.json", b"[" * 5000),
    ("sweep.json", as_json(NO_SWEEP | {"points": [{**POINT, "settings": {"seed": 0}}]})),
    ("sweep.json", as_json(NO_SWEEP | {"groups": [GROUP]})),
    slow=True,
)
def sweep(folder: Path, runs: Callable[[], Path]) -> Begun:
    """What is read of a sweep: its state, its statistics, its page and its tables."""
    config = read_config(runs() / "search", SearchConfig)
    outcomes = []
    for seed in (0, 1):
        place = folder / "points" / f"adarts-seed{seed}"
        shutil.copytree(runs() / "search", place)
        row = PointResult(Point(place.name, {"method": "adarts", "seed": seed}, config, 2), place, "finished", epochs=2)
        row.finish()
        outcomes.append(row)
    facts = {"on": "local", "slots": 1, "threads": 1, "environment": {}}
    (folder / "sweep.json").write_bytes(as_json(content(outcomes, groups(outcomes), facts, {})))

    def read() -> None:
        for call in (status, stability, write_paper, lambda folder: write_report([folder])):
            with contextlib.suppress(AdartsError):
                call(folder)

    return _files(folder, ("sweep.json",), read)


_LONE_SURROGATE = (
    b'{"format": "adarts-explore", "version": 1, "budget": {"amount": 3.0, "in_seconds": false}, "seed": 0, '
    b'"data": "cifar10", "options": {}, "evaluator": "nasbench201", "noise": false}\n'
    b'{"searcher": "random", "run": 0, "evaluations": 3, "accuracy": 93.8, "hypervolume": 0.6, "found": "\\ud800", '
    b'"beyond": null, "curve": [91.56, 92.005, 93.8]}\n'
)


@parser(("runs.jsonl", b"[]\n"), ("runs.jsonl", b"[" * 5000 + b"\n"), ("runs.jsonl", _LONE_SURROGATE))
def exploration(folder: Path, runs: Callable[[], Path]) -> Begun:
    """The runs of an exploration that is continued."""
    setup = Exploration(["random"], Budget.parse("3"), runs=2)
    run_exploration(setup, folder / "explore")
    return _files(folder / "explore", ("runs.jsonl",), lambda: run_exploration(setup, folder / "explore"))


@parser(b"[]", b"{}", b"[" * 5000)
def records(folder: Path, runs: Callable[[], Path]) -> Begun:
    """What a node of a cluster writes, and a measured step."""
    config = search_config(scale="smoke")
    place = Runs(folder)
    file = place.step_file(config)
    file.parent.mkdir()

    def read(content: bytes) -> None:
        file.write_bytes(content)
        for reading in (partial(Record.read, file), partial(place.step, config)):
            with contextlib.suppress(AdartsError):
                reading()

    return like(
        {"attempt": 1, "where": "node", "ended": True, "code": 0, "words": ""},
        {"seconds": 1.0, "memory": 1, "device": "cpu"},
    ), read


@parser()
def space_file(folder: Path, runs: Callable[[], Path]) -> Begun:
    """A file with a space, which its user names; what it says may be wrong."""
    numbers = iter(range(10**9))
    text = "from adarts.spaces import Space\n\nMINE = Space(**{})\n"

    def read(content: bytes) -> None:
        file = folder / f"space{next(numbers)}.py"
        file.write_bytes(content)
        try:
            get_space(f"{file}:MINE")
        finally:
            file.unlink()

    known = altered(OWN_SPACE).map(lambda one: text.format(_literal(one)).encode())
    return known | edited([text.format(_literal(OWN_SPACE)).encode()]), read


def _literal(document: Any) -> str:
    return repr(document).replace("nan", "float('nan')").replace("inf", "float('inf')")


@parser(slow=True)
def run_name(folder: Path, runs: Callable[[], Path]) -> Begun:
    """The name of a run."""
    shutil.copytree(runs(), folder / "runs")

    def read(text: str) -> None:
        for find in (partial(RunFolder.find, kind="train"), load):
            with contextlib.suppress(AdartsError):
                find(text)

    return WORDS, read
