"""Networks of timm in a training, to compare with."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

import adarts
from adarts.cli.main import main
from adarts.errors import ConfigError, DataError
from adarts.training import evaluate, load_model, train_config

pytest.importorskip("timm")
NAME = "timm:mobilenetv3_small_050"


class Executed:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


def test_a_network_of_timm_is_trained_loaded_and_measured(tmp_path: Path) -> None:
    found = adarts.train(data="digits", scale="smoke", network={"name": NAME}, run={"run_dir": tmp_path, "threads": 1})
    network, facts = load_model(tmp_path)
    assert facts["network"] == NAME and "channels" not in facts
    assert evaluate(tmp_path)["test_accuracy"] == found.test_accuracy
    assert network(torch.zeros(2, 1, 16, 16)).shape == (2, 10)
    assert "mobilenetv3_small_050 of timm" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize("num_classes", [3, 7])
def test_a_file_of_weights_gives_all_but_the_classifier(num_classes: int, tmp_path: Path) -> None:
    other = adarts.create_model(NAME, num_classes=7, seed=1)
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    own = adarts.create_model(NAME, num_classes=num_classes, seed=2, pretrained=tmp_path / "weights.pth").state_dict()
    for name, tensor in other.state_dict().items():
        assert name == "classifier.bias" or torch.equal(own[name], tensor) != (name == "classifier.weight"), name
    assert own["classifier.weight"].shape[0] == num_classes


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="timm has no network 'resnet19'; did you mean 'resnet18'"):
        adarts.create_model("timm:resnet19")
    with pytest.raises(ConfigError, match="timm has no network 'hf_hub:you/yours'"):
        adarts.create_model("timm:hf_hub:you/yours")
    with pytest.raises(ConfigError, match="only networks of timm start from a file"):
        adarts.create_model("ADARTS_V1", pretrained=tmp_path)
    with pytest.raises(ConfigError, match=r"network\.pretrained is for networks of timm"):
        train_config(network={"pretrained": tmp_path})
    with pytest.raises(DataError, match="no file"):
        adarts.create_model(NAME, pretrained=tmp_path / "none.pth")
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(DataError, match=r"bad\.pth: not weights of timm's mobilenetv3_small_050"):
        adarts.create_model(NAME, pretrained=tmp_path / "bad.pth")
    for name, weights, reason in (
        ("other", {"unrelated": torch.zeros(2, 2)}, "has no conv_stem.weight"),
        ("empty", {}, "is empty"),
    ):
        torch.save(weights, tmp_path / f"{name}.pth")
        with pytest.raises(DataError, match=f"{name}.pth: not weights of timm's .*: it {reason}"):
            adarts.create_model(NAME, num_classes=3, pretrained=tmp_path / f"{name}.pth")
    code = tmp_path / "code.pth"
    code.write_bytes(pickle.dumps(Executed(str(tmp_path / "executed"))))
    with pytest.raises(DataError, match=r"code\.pth: not weights"):
        adarts.create_model(NAME, num_classes=3, pretrained=code)
    assert not (tmp_path / "executed").exists()
    assert main(["train", "--network", "timm:resnet19", "--data", "digits", "--scale", "smoke"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
