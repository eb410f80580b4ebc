"""The other formats: each is read back as its users do, and gives the answers of the trained network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import adarts
from adarts.cli.main import main
from adarts.errors import ConfigError, DataError
from adarts.export.export import export
from adarts.export.facts import Facts
from adarts.export.loaded import load
from adarts.export.parity import IMAGES, check
from adarts.export.source_code import write_module
from adarts.export.timm_folder import write_timm
from adarts.export.trained import Trained
from adarts.models import OPERATIONS, Network, baselines, register_operation
from adarts.spaces import Genotype
from adarts.spaces.operation_names import OPERATION_NAMES, WITHOUT_DRAWS
from adarts.training import images_of
from adarts.training.model import resolve_genotype
from adarts.zoo import entries

PIXELS = torch.randint(0, 256, (7, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def right_logits(run: Path, pixels: torch.Tensor = PIXELS) -> np.ndarray:
    network, facts = adarts.load_model(run)
    mean, std = (torch.tensor(facts[name]).view(-1, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        return network((pixels / 255 - mean) / std).numpy()


def test_pt2(run: Path, tmp_path: Path) -> None:
    result = export(run, "pt2", tmp_path / "net.pt2")
    held = {"facts.json": ""}
    module = torch.export.load(result.path, extra_files=held).module()
    for size in (1, 7):
        assert np.abs(module(PIXELS[:size]).detach().numpy() - right_logits(run)[:size]).max() < 1e-5
    beside = json.loads((tmp_path / "net.json").read_text())
    assert beside == json.loads(held["facts.json"])
    assert beside["torch"] == torch.__version__ and beside["classes"] == ["bird", "cat", "dog <b>"]
    assert b"export.py" not in result.path.read_bytes()


def test_a_python_module_needs_torch_alone(run: Path, tmp_path: Path) -> None:
    """Imported in another process, on images of the test set at batch 1 and 7."""
    export(run, "python", tmp_path / "net.py")
    pixels = images_of(run).test.pixels[:7].contiguous()
    np.save(tmp_path / "pixels.npy", pixels.numpy())
    code = (
        "import sys, numpy, torch, net\n"
        "network, pixels = net.load(), torch.from_numpy(numpy.load('pixels.npy'))\n"
        "found = torch.cat([network(pixels), network(pixels[:1])]).detach().numpy()\n"
        "numpy.save('logits.npy', found)\n"
        "print('adarts' in sys.modules, 'torchvision' in sys.modules, net.CLASSES, net.IMAGE_SIZE)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False ('bird', 'cat', 'dog <b>') (16, 16)"
    right = right_logits(run, pixels)
    assert np.abs(np.load(tmp_path / "logits.npy") - np.concatenate([right, right[:1]])).max() < 1e-5


def test_safetensors(run: Path, photos: Path, tmp_path: Path) -> None:
    """One file, without the run; `predict` takes it."""
    path = export(run, "safetensors", tmp_path / "net.safetensors").path
    assert load(path).facts == load(run).facts
    assert adarts.predict(path, photos) == adarts.predict(run, photos)
    (tmp_path / "other.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    for name in ("other.safetensors", "gone.safetensors"):
        with pytest.raises(DataError, match="not a usable file of `adarts export`"):
            load(tmp_path / name)


def test_timm(run: Path, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    path = export(run, "timm", tmp_path / "net").path
    model = timm.create_model(f"local-dir:{path}", pretrained=True).eval()
    config = timm.data.resolve_data_config(model.pretrained_cfg)
    mean, std = (torch.tensor(config[name]).view(-1, 1, 1) for name in ("mean", "std"))
    assert config["input_size"] == (3, 16, 16) and config["interpolation"] == "bicubic"
    found = model((PIXELS / 255 - mean) / std).detach().numpy()
    assert np.abs(found - right_logits(run)).max() < 1e-5
    assert model.pretrained_cfg["label_names"] == ["bird", "cat", "dog <b>"]
    finer = timm.create_model(f"local-dir:{path}", pretrained=True, num_classes=5)
    assert torch.equal(finer.stem.conv.weight, model.stem.conv.weight)


@pytest.mark.parametrize("name", ["timm:mobilenetv3_small_050", pytest.param("mobilenet_v2", marks=pytest.mark.full)])
def test_networks_with_a_name_for_timm(name: str, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    one = replace(trained(adarts.create_model(name, 4)), details={"network": name})
    pixels = PIXELS[..., :15, :].repeat(1, 1, 1, 2)[..., :18].contiguous().numpy()
    check(one, write_timm(one, tmp_path / "net"), pixels)
    if name.startswith("timm:"):
        with pytest.raises(ConfigError, match="in timm; take --to timm"):
            write_module(one, tmp_path / "net.py")


def test_a_folder_for_the_hub(run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Read back by huggingface_hub; the card says data, budget, seed, accuracy and limits, and no path of this machine."""
    pytest.importorskip("huggingface_hub")
    from adarts.export.hub import HubModel

    assert main(["export", str(run), "--to", "hub", "--out", str(tmp_path / "net")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "net")
    model = HubModel.from_pretrained(tmp_path / "net", strict=True)
    assert np.abs(model(PIXELS).detach().numpy() - right_logits(run)).max() < 1e-5
    assert model.facts == load(run).facts
    card = (tmp_path / "net" / "README.md").read_text()
    summary = json.loads((run / "summary.json").read_text())
    for said in (
        f"{summary['test_accuracy']:.2%}".replace("%", " %"),
        f"of {summary['test_images']} test images",
        "seed 0",
        "2 epochs",
        "photos",
    ):
        assert said in card
    assert "dog &lt;b&gt;" in card and "No license" in card
    for file in (tmp_path / "net").iterdir():
        assert str(photos.parent).encode() not in file.read_bytes(), file


def test_the_card_survives_a_second_save(run: Path, tmp_path: Path) -> None:
    """`push_to_hub` saves once more."""
    pytest.importorskip("huggingface_hub")
    from adarts.export.hub import HubModel

    path = export(run, "hub", tmp_path / "net").path
    HubModel.from_pretrained(path, strict=True).save_pretrained(tmp_path / "again")
    for name in ("README.md", "config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (path / name).read_bytes()


def test_a_folder_is_written_over(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    for _ in range(2):
        export(run, "hub", tmp_path / "net")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net"]


# Python modules

CLASSES = ("cat", "dog", "back\\slash", "Grüße \U0001f600")


def trained(network: nn.Module, channels: int = 3) -> Trained:
    """A network with weights and statistics that an untrained one does not have."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
    statistics = ((0.4, 0.5, 0.6)[:channels], (0.2, 0.25, 0.3)[:channels])
    facts = Facts(CLASSES, (15, 18), channels, *statistics, "x", "0" * 64, 0.5, 9)
    return Trained(Path(), network.eval(), facts, {}, {})


def rare() -> list[Genotype]:
    """Cells that have all operations of the package between them."""
    known = [entry.genotype for entry in entries()] + [
        resolve_genotype(f"random:nasbench201:{seed}") for seed in range(9)
    ]
    chosen: list[Genotype] = []
    covered: set[str] = set()
    for genotype in known:
        if not genotype.operations <= covered:
            chosen.append(genotype)
            covered |= genotype.operations
    assert covered >= WITHOUT_DRAWS
    return chosen


DESIGNED = {
    "resnet": lambda: baselines.resnet(14, 4, 1),
    "densenet": lambda: baselines.densenet(22, 4, 4, 1),
    "vgg": lambda: baselines.vgg(((4, 2), (8, 3)), 4, 1),
    "mobilenet": lambda: baselines.mobilenet_v2(4, 1),
}


def compared(one: Trained, path: Path) -> None:
    """Write the module, compare its answers, and read it as a person would."""
    shape = (IMAGES // 10, one.facts.in_channels, *one.facts.image_size)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    check(one, write_module(one, path), pixels.numpy())
    rules = ["--isolated", "--line-length", "120", str(path)]
    for command in (["check", "--select", "E,F,W,I,UP,B,SIM", "--ignore", "RUF001"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *rules], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("genotype", rare(), ids=lambda genotype: genotype.space)
def test_source_code_of_cells(genotype: Genotype, tmp_path: Path) -> None:
    compared(trained(Network(genotype, 4, 4, 4)), tmp_path / "net.py")


def test_source_code_of_a_strided_stem(tmp_path: Path) -> None:
    compared(trained(Network(resolve_genotype("random:0"), 4, 4, 3, stem_stride=8)), tmp_path / "net.py")


@pytest.mark.parametrize("name", DESIGNED)
def test_source_code_of_hand_designed_networks(name: str, tmp_path: Path) -> None:
    compared(trained(DESIGNED[name](), 1), tmp_path / "net.py")


def test_class_names_are_quoted(tmp_path: Path) -> None:
    """Those of folders may hold anything, even bytes that are no text."""
    one, strange = trained(baselines.resnet(8, 4)), ('quote"', "line\nbreak\x00", "\u2028", "\udcff")
    write_module(replace(one, facts=replace(one.facts, classes=strange)), tmp_path / "net.py")
    namespace: dict[str, object] = {"__file__": "net.py"}
    exec((tmp_path / "net.py").read_text(), namespace)
    assert namespace["CLASSES"] == strange


def test_a_run_cannot_bring_its_own_code(run: Path, tmp_path: Path) -> None:
    """The module is executed to check it, so nothing of a run folder may get into it but numbers and quoted names."""
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "export"))
    file, mark = tmp_path / "run" / "model.json", tmp_path / "executed"
    code = f'''""" + str(__import__("pathlib").Path({str(mark)!r}).touch()) + """'''
    file.write_text(json.dumps(json.loads(file.read_text()) | {"image_size": [code, 16]}))
    with pytest.raises(DataError, match="image_size cannot be right"):
        export(tmp_path / "run", "python")
    assert not mark.exists()


@pytest.fixture
def mine() -> Iterator[str]:
    """A registered operation, forgotten after the test."""
    name = "mine_for_export"
    register_operation(name, lambda channels, stride, affine: nn.AvgPool2d(1, stride))
    yield name
    del OPERATIONS[name]
    OPERATION_NAMES.discard(name)


def test_an_operation_of_somebody_else_has_no_source(mine: str, tmp_path: Path) -> None:
    document = resolve_genotype("random:0").to_dict()
    document["cells"]["normal"]["nodes"][0][0][0] = mine
    network = Network(Genotype.from_dict(document), 4, 4, 3)
    with pytest.raises(ConfigError, match="the source code of the operation 'mine_for_export' is not known here"):
        write_module(trained(network), tmp_path / "net.py")


def test_noise_cannot_be_exported(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, tmp_path / "run")
    document = json.loads((run / "genotype.json").read_text())
    for cell in document["cells"].values():
        for node in cell["nodes"]:
            for pair in node:
                pair[0] = "noise"
    genotype = Genotype.from_dict(document)
    (tmp_path / "run" / "genotype.json").write_text(genotype.to_json())
    from safetensors.torch import save_file

    details = json.loads((run / "model.json").read_text())
    network = Network(genotype, 3, details["channels"], details["cells"])
    save_file(network.state_dict(), tmp_path / "run" / "model.safetensors")
    assert main(["export", str(tmp_path / "run"), "--to", "safetensors"]) == 2
    assert "its cells have noise" in capsys.readouterr().err
