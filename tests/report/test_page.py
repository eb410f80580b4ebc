from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from adarts.cli.main import main
from adarts.errors import CheckpointError, ConfigError
from adarts.report import content, curves, write_report
from adarts.report.charts import Rule
from adarts.report.curves import PLACES, undecided_rule
from adarts.report.reading import read_run
from adarts.spaces import DARTS, SPACES, CellGenotype, Genotype, get_space, random_genotype
from browser import CHROMIUM, Browser

VOID = {"meta", "img"}
METHODS = ("adarts", "darts")
HOSTILE = '"><script>alert(1)</script>&<img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in order, no identifier is used twice."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []
        identifiers = [value for _, name, value in self.attributes if name == "id"]
        assert len(identifiers) == len(set(identifiers))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""


def test_a_search_shows_cells_curves_and_how_to_repeat_it(search_run) -> None:
    run = search_run(beta=True)
    path = write_report([run])
    assert path == run / "report.html"
    page = Page(path)
    for words in (
        "Search with adarts on digits",
        "Skip connections by epoch",
        "collapse above 2",
        "Operation weights by epoch",
        "c(k−2) → 0: ",
        "Edge weights by epoch, reduction cell",
        "Entropy",
        "410,682",
        "warmup_epochs: 15",
        "two <slow> cores",
        "Genotype(normal=[",
    ):
        assert words in page.text
    drawings = [value for tag, name, value in page.attributes if tag == "svg" and name == "class"]
    assert drawings.count("drawing cell") == 2
    assert page.text.count("c(k−2) → ") == 2 * 4, "a chart for each edge of both cells"


def test_a_training_shows_its_accuracy_and_costs(train_run) -> None:
    page = Page(write_report([train_run()]))
    for words in ("97.54 %", "1,412 images", "2.90 M", "2,897,902", "476,426", "469 M", "1 h 23 min"):
        assert words in page.text
    assert "Operation weights" not in page.text


def test_the_page_needs_nothing_but_itself(search_run) -> None:
    page = Page(write_report([search_run()]))
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not any(name in ("src", "href", "xlink:href") for _, name, _ in page.attributes)
    assert "url(" not in page.source
    assert "http" not in page.source.replace("http-equiv", "")
    assert "prefers-color-scheme: dark" in page.source
    assert ("meta", "name", "viewport") in page.attributes


def test_runs_side_by_side(search_run, train_run) -> None:
    runs = [search_run(), train_run(), train_run("random", genotype="random:5"), search_run("second", method="darts")]
    own = write_report(runs[:1]).read_bytes()
    path = write_report(runs)
    assert path == runs[0] / "comparison.html"
    assert (runs[0] / "report.html").read_bytes() == own
    page = Page(path)
    assert "4 runs side by side" in page.text
    assert "Trainings together" in page.text
    assert "Searches together" in page.text
    assert "reflect more than the cells" not in page.text
    links = {value for _, name, value in page.attributes if name == "href"}
    assert links == {f"#run-{letter}" for letter in "ABCD"}
    assert {link[1:] for link in links} <= {value for _, name, value in page.attributes if name == "id"}


def test_reports_name_the_space(search_run, train_run) -> None:
    assert "space nasbench201 · scale" in Page(write_report([search_run(space="nasbench201")])).text
    assert "space s2" in Page(write_report([search_run("begun", epochs=0, finished=False, space="s2")])).text
    runs = [search_run("a", space="s1"), train_run(), train_run("new", epochs=0, finished=False)]
    (runs[2] / "genotype.json").unlink()
    source = Page(write_report(runs)).source
    head, body = source.split("<thead>")[1].split("<tbody>")[:2]
    assert head.count("<th ") == 8 and ">Space<" in head and ">Scale<" not in head, "what is equal is left out"
    cells = [row.split("</td>")[-2] for row in body.split("</tbody>")[0].split("</tr>")[:3]]
    assert [cell.removeprefix("<td>") for cell in cells] == ["s1", "darts", "–"]


@pytest.mark.parametrize(
    ("spaces", "lines"), [(("darts", "darts"), 3), (("darts", "s2"), 3), (("darts", "nasbench201"), 2)]
)
def test_searches_share_a_collapse_line_only_where_it_is_that_of_all(search_run, spaces, lines: int) -> None:
    runs = [search_run(method, method=method, space=space) for method, space in zip(METHODS, spaces, strict=True)]
    assert (
        Page(write_report(runs)).text.count("collapse above") == lines
    )  # one for each run, and that of the comparison


def test_the_undecided_line_is_that_of_the_operations_which_an_edge_may_have() -> None:
    assert undecided_rule(DARTS) == Rule(pytest.approx(math.log(8)), "undecided")
    assert undecided_rule(get_space("s1")) == Rule(pytest.approx(math.log(2)), "undecided")
    names = DARTS.operations
    edges = tuple(names[: 2 if edge % 2 else 4] for edge in range(14))
    mixed = replace(DARTS, candidates=(edges, edges))
    assert undecided_rule(mixed) == Rule(pytest.approx(1.5 * math.log(2)), "undecided")
    assert undecided_rule(replace(DARTS, candidates=(edges, (names,) * 14))) is None, "one line cannot be both"


def test_the_page_may_lie_elsewhere(train_run, tmp_path: Path) -> None:
    run = train_run()
    assert write_report([run], tmp_path / "page.html") == tmp_path / "page.html"
    assert "97.54 %" in Page(tmp_path / "page.html").text
    assert not (run / "report.html").exists()


def test_unequal_trainings_are_called_so(train_run) -> None:
    runs = [train_run(), train_run("short", training={"epochs": 2})]
    assert "reflect more than the cells" in Page(write_report(runs)).text


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_unfinished_runs_are_shown_as_far_as_they_are(search_run, train_run, epochs: int) -> None:
    for path in (search_run(epochs=epochs, finished=False), train_run(epochs=epochs, finished=False)):
        text = Page(write_report([path])).text
        assert f"not finished: {epochs} of " in text
        assert ("There are no charts yet" in text) == (epochs == 0)
        assert "Test accuracy" not in text
    if epochs:
        assert "Training accuracy so far" in text


def test_a_line_cut_short_does_not_count(search_run) -> None:
    run = search_run(finished=False)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "train_lo')
    assert "not finished: 3 of 80" in Page(write_report([run])).text


def test_a_collapse_is_told_with_what_to_do(search_run) -> None:
    run = search_run()
    cell = CellGenotype(tuple((("skip_connect", 0), ("sep_conv_3x3", 1)) for _ in DARTS.targets), (2, 3, 4, 5))
    (run / "genotype.json").write_text(Genotype({"normal": cell, "reduction": cell}).to_json())
    text = Page(write_report([run])).text
    assert "4 skip connections in the normal cell" in text
    assert "Try fewer epochs, another method or another seed" in text


def test_hostile_names_stay_text(search_run, train_run) -> None:
    search = search_run("a<b>&c", data=f"folder:{HOSTILE}")
    train = train_run(genotype=HOSTILE)
    (search / "environment.json").write_text(json.dumps({"device": HOSTILE, HOSTILE: [{"x": HOSTILE}]}))
    page = Page(write_report([search, train]))
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert HOSTILE in page.text
    assert "a<b>&c" in page.text


def test_a_folder_whose_name_is_no_text(search_run) -> None:
    run = search_run()
    strange = os.fsdecode(os.fsencode(run.parent) + b"/\xff")
    try:
        run = run.rename(strange)
    except OSError:
        pytest.skip("this file system takes only text")
    assert "Run folder:" in Page(write_report([run])).text


def test_a_cell_that_the_classical_text_cannot_say(search_run) -> None:
    run = search_run()
    cell = CellGenotype(((("sep_conv_3x3", 0),), (), (("skip_connect", 2),) * 3, ()), (2, 4))
    (run / "genotype.json").write_text(Genotype({"normal": cell, "reduction": cell}).to_json())
    text = Page(write_report([run])).text
    assert "Genotype: JSON" in text
    assert "Genotype: Classical text" not in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", "{"),
        ("summary.json", "[]"),
        ("genotype.json", '{"format": "other"}'),
        ("environment.json", "\x00"),
        ("config.yaml", "a: [b"),
        ("config.yaml", "just text"),
        ("metrics.jsonl", "nonsense\n"),
        ("metrics.jsonl", "[1]\n"),
        ("config.yaml", "format: 1\nsearch: {epochs: many}"),
        ("config.yaml", "format: 1\nsearch: {warmup_epochs: [1]}"),
        ("config.yaml", "format: 1\ntraining: 3"),
        ("config.yaml", "a: &a [x]\nb: *a"),
        ("summary.json", '{"kind": "search", "truth": 94}'),
        ("summary.json", '{"kind": "search", "truth": {"cifar10": "good", "rank": 1}}'),
        ("summary.json", '{"kind": "search", "truth": {"cifar10": 94.37}}'),
        ("metrics.jsonl", '{"truth": {"rank": 1}}\n'),
        ("summary.json", '{"kind": "dance"}'),
        ("summary.json", '{"kind": "search", "seconds": "long"}'),
        ("summary.json", '{"kind": "train", "test_accuracy": null}'),
        ("summary.json", '{"kind": "train", "test_accuracy": 0.5, "test_images": "1"}'),
        ("summary.json", '{"kind": "search", "supernet_parameters": [1]}'),
        ("summary.json", "[" * 100_000),
        ("metrics.jsonl", '{"epoch": "first"}\n'),
        ("metrics.jsonl", '{"operation_weights": {"normal": 1}}\n'),
    ],
)
def test_damaged_files_are_named_in_one_line(search_run, name: str, content: str) -> None:
    run = search_run()
    (run / name).write_text(content)
    with pytest.raises(CheckpointError) as caught:
        write_report([run])
    assert "\n" not in str(caught.value)
    assert str(run) in str(caught.value)
    assert not (run / "report.html").exists()


def test_names_that_are_no_text_in_a_configuration_are_shown(train_run) -> None:
    run = train_run()
    file = run / "config.yaml"
    file.write_text(file.read_text().replace("images:\n", "images:\n  1: 2\n", 1))
    assert "1: 2" in write_report([run]).read_text()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a run folder"):
        write_report([tmp_path])
    with pytest.raises(ConfigError, match="at least one"):
        write_report([])


def test_a_space_that_is_registered_later_is_reported(search_run, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = replace(get_space("darts"), name="mine", title="Mine")
    monkeypatch.setitem(SPACES.known, "mine", mine)
    run = search_run(space="mine")
    assert "space mine" in Page(write_report([run])).text
    begun = search_run("begun", epochs=0, finished=False, space="mine")
    monkeypatch.delitem(SPACES.known, "mine")
    with pytest.raises(ConfigError, match="unknown space 'mine'"):
        write_report([begun])


def test_runs_that_differ_in_the_seed_alone_are_summed_up(search_run, train_run) -> None:
    runs = [search_run(f"s{seed}", seed=seed, beta=True) for seed in range(3)]
    (runs[2] / "genotype.json").write_text(random_genotype(DARTS, 2).to_json())
    runs += [train_run(f"t{seed}", seed=seed) for seed in range(2)]
    summary = json.loads((runs[4] / "summary.json").read_text())
    (runs[4] / "summary.json").write_text(json.dumps({**summary, "test_accuracy": 0.9554}))
    page = Page(write_report(runs))
    assert "5 runs side by side" in page.text
    assert {value for _, name, value in page.attributes if name == "href"} == {"#run-A", "#run-B"}
    for words in (
        "Search with adarts on digits, 3 seeds",
        "seeds 0, 1, 2",
        "96.54 ± 1.41 %",
        "Normal cell, seed 0, 1",
        "Normal cell, seed 2",
        " in 2 of 3",
    ):
        assert words in page.text
    assert page.text.count("collapse above 2") == 1, "one chart for the three searches"
    assert page.text.count("Run folder:") == 5


def test_a_folder_stands_for_the_runs_in_it(
    search_run, train_run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    search_run("search").rename(tmp_path / "mine" / "search")
    train_run("found").rename(tmp_path / "mine" / "found")
    assert main(["report", str(tmp_path / "mine")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "mine" / "comparison.html")
    text = Page(tmp_path / "mine" / "comparison.html").text
    assert "2 runs side by side" in text and "Search with adarts" in text and "Training of" in text


def test_a_folder_of_adarts_run_stands_for_all_its_trainings(search_run, train_run, tmp_path: Path) -> None:
    """Charts hold their accuracies against their costs."""
    made, others = tmp_path / "made", [train_run(name, genotype=f"random:{name}") for name in "56"]
    places = "search", "network-1", "network-2", "network-3"
    for run, place in zip([search_run(), train_run(), *others], places, strict=True):
        made.mkdir(exist_ok=True)
        run.rename(made / place)
    for place, size in (("network-2", 2_000_000), ("network-3", 3_000_000)):
        file = made / place / "summary.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"parameters": size, "test_accuracy": 0.9}))
    page = Page(write_report([made]))
    assert "4 runs side by side" in page.text and "Accuracy and cost" in page.text
    # By parameters, one other network is smaller than the first and one larger; the MACs of all are equal.
    for cost in ("parameters", "MACs"):
        (drawing,) = re.findall(f'<svg[^>]*aria-label="Accuracy and {cost}".*?</svg>', page.source, re.DOTALL)
        words = re.findall(r"<text[^>]*>([^<]*)<", drawing)
        assert {"A", "B", "C"} <= set(words) and drawing.count("<use ") == 3 + 2
        assert [word for word in words if word in PLACES] == list(PLACES)
    assert "Accuracy and cost" not in Page(write_report([made / "search", made / "network-1"])).text


def test_a_sweep_stands_for_its_searches(search_run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = tmp_path / "sweep"
    (sweep / "points").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="no search of this sweep has begun"):
        write_report([sweep])
    for method, seed in (("adarts", 0), ("adarts", 1), ("darts", 0)):
        search_run(f"{method}-{seed}", method=method, seed=seed).rename(sweep / "points" / f"{method}-{seed}")
    assert main(["report", str(sweep)]) == 0
    assert capsys.readouterr().out.strip() == str(sweep / "report.html")
    text = Page(sweep / "report.html").text
    assert "3 runs side by side" in text and "Search with adarts on digits, 2 seeds" in text


def test_data_and_other_images_are_told(train_run) -> None:
    runs = [train_run("a"), train_run("b")]
    facts = [["training part", "40"], ["note", "left out cat/<broken>.jpg: not an image"]]
    for run, fingerprint in zip(runs, ("aa", "bb"), strict=True):
        summary = json.loads((run / "summary.json").read_text())
        (run / "summary.json").write_text(json.dumps({**summary, "data_fingerprint": fingerprint, "data_facts": facts}))
    page = Page(write_report(runs[:1]))
    assert "Data: left out cat/<broken>.jpg: not an image" in page.text and "training part" in page.text
    assert "fingerprint" not in page.text.replace("data_fingerprint", "")
    assert "The trainings used different images" in Page(write_report(runs)).text


def test_the_images_of_a_run_are_shown(train_run) -> None:
    run = train_run("a")
    images = {
        "classes": [{"name": "cat <1>", "train": 30, "test": 8}, {"name": "dog", "train": 3, "test": 2}],
        "left_out": [{"file": "cat/broken.jpg", "reason": "an empty file"}],
        "duplicates": [["cat/1.png", "cat/2.png", "dog/2.png"]],
    }
    (run / "data.json").write_text(json.dumps(images))
    tested = [
        {"name": "cat <1>", "images": 8, "accuracy": 0.75, "precision": 0.875},
        {"name": "dog", "images": 2, "accuracy": 0.5, "precision": None},
    ]
    more = {"test_classes": tested, "balanced_accuracy": 0.625, "largest_class": {"name": "cat <1>", "share": 0.8}}
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, **more}))
    text = "".join(Page(write_report([run])).text.split())  # cells of a table stand without a space between them
    for said in (
        "always answering cat <1> gives 80 %",
        "Balanced accuracy 62.50 % mean of the accuracies of all classes",
        "2 classes Class Training images Test images Found (recall) Right if named (precision) cat <1> 30 8 75 % 87.5 % "
        "dog 3 2 50 % –",
        "1 files left out File Reason cat/broken.jpg an empty file",
        "1 groups of equal images File Equal files cat/1.png cat/2.png, dog/2.png",
    ):
        assert said.replace(" ", "") in text, said
    (run / "data.json").write_text('{"classes": 3}')
    with pytest.raises(CheckpointError, match=r"data\.json is damaged: classes"):
        write_report([run])


def with_answers(run: Path, classes: list[str], **changes: object) -> Path:
    """Put answers into a run: 3 images of each class, one of which is taken for the next class."""
    count = len(classes)
    confused = [one for k in range(count) for one in ([k, k, 2], [k, (k + 1) % count, 1])]
    mistake = {"true": 0, "predicted": 1, "confidence": 0.984, "file": "a/1.png", "png": "iVBORw0KGgo="}
    answers = {"classes": classes, "confused": confused, "mistakes": [mistake], **changes}
    (run / "answers.json").write_text(json.dumps(answers))
    return run


@pytest.mark.parametrize("count", [2, 30, 100, 101])
def test_what_a_network_confuses_is_drawn_for_up_to_100_classes(train_run, count: int) -> None:
    page = Page(write_report([with_answers(train_run(), [HOSTILE, *(f"k{k}" for k in range(1, count))])]))
    drawn = f"{HOSTILE} taken for k1: 1 of 3, 33.3 %" in page.text
    assert drawn == (count <= 100) == ("Confused classes" in page.text)
    said = "".join(page.text.split("Most often confused")[1].split())
    assert "".join(f"{HOSTILE}k1133.3 %".split()) in said, "the pairs are listed for any number"
    assert f"{HOSTILE}, taken for k1, 98.4 %a/1.png" in page.text
    assert ("img", "src", "data:image/png;base64,iVBORw0KGgo=") in page.attributes and page.tags["script"] == 0


def test_heat_maps_lie_beside_the_mistakes_or_are_said_to_be_missing(train_run) -> None:
    mistake = {"true": 0, "predicted": 1, "confidence": 0.984, "file": "a/1.png", "png": "iVBORw0KGgo="}
    hot = [{**mistake, "heat": {"png": "AAAA", "where": where}} for where in ("top left", "")]
    page = Page(write_report([with_answers(train_run("with"), [HOSTILE, "b"], mistakes=hot)]))
    strongest, nowhere = (value for tag, name, value in page.attributes if name == "alt" and value)
    assert strongest == f"heat map: what spoke for b rather than {HOSTILE} is strongest at the top left"
    assert nowhere == f"heat map: what spoke for b rather than {HOSTILE} is nowhere in the picture"
    assert "The gray picture is a heat map" in page.text and page.tags["img"] == 4 and page.tags["script"] == 0
    page = Page(write_report([with_answers(train_run("without"), ["a", "b"], no_heat="No map, because.")]))
    assert "No map, because." in page.text and "gray picture" not in page.text and page.tags["img"] == 1


@pytest.mark.parametrize(
    "changes",
    [{"classes": ["a"]}, {"confused": [[0, 1]]}, {"confused": [[0, -1, 3]]}, {"mistakes": [{"true": 0}]}],
)
def test_answers_that_cannot_be_are_named(train_run, changes: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match=r"answers\.json is damaged"):
        write_report([with_answers(train_run(), **{"classes": ["a", "b"], **changes})])


@pytest.mark.full
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_no_page_is_wider_than_its_window(search_run, train_run, tmp_path: Path) -> None:
    many = with_answers(train_run("many"), [f"a class of fish {k}" for k in range(100)])
    page = write_report([search_run(), many, train_run("few", genotype="random:5")])
    with Browser(tmp_path / "profile") as browser:
        browser.send("Page.navigate", url=page.as_uri())
        browser.wait("document.querySelector('#run-C') !== null")
        for width in (1280, 420):
            how = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
            browser.send("Emulation.setDeviceMetricsOverride", **how)
            assert browser.run("document.documentElement.scrollWidth") <= width
            hidden = (
                "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
            )
            assert width < 1280 or browser.run(hidden) == 0


def test_seeds_that_decided_are_counted(search_run) -> None:
    runs = [search_run(f"run{seed}", seed=seed) for seed in range(3)]
    for run, word in zip(runs, ("leaning", "undecided", "leaning"), strict=True):
        summary = json.loads((run / "summary.json").read_text())
        summary["verdict"] = {"word": word, "text": f"{word}: 4 of 8 choices"}
        (run / "summary.json").write_text(json.dumps(summary))
    assert "<b>2 leaning, 1 undecided</b>" in write_report(runs).read_text()
    assert "<b>leaning</b><small>4 of 8 choices</small>" in write_report(runs[:1]).read_text()
    (runs[0] / "summary.json").write_text('{"verdict": {"word": 1}}')
    with pytest.raises(CheckpointError, match=r"summary.json is damaged: verdict.word"):
        write_report(runs[:1])


def with_estimates(run: Path, accuracies: list[float], beyond: str | None = None) -> Path:
    """Write estimates of the cells into a run folder, one an epoch."""
    estimates = [{"cifar10": value, "estimated": True, "error": 0.18, "beyond": beyond} for value in accuracies]
    path = run / "metrics.jsonl"
    records = map(json.loads, path.read_text().splitlines())
    path.write_text("".join(json.dumps({**r, "truth": e}) + "\n" for r, e in zip(records, estimates, strict=True)))
    floors = [{"name": "random cells", "cifar10": {"n": 1000, "mean": 93.1, "sd": 0.54}}]
    summary = json.loads((run / "summary.json").read_text()) | {"truth": estimates[-1], "floors": floors}
    (run / "summary.json").write_text(json.dumps(summary))
    return run


def test_estimated_accuracies_and_what_they_are_held_against(search_run) -> None:
    one = with_estimates(search_run(seed=0), [92.0, 93.0, 93.5])
    text = Page(write_report([one])).text
    for words in (
        "Estimated accuracy, CIFAR-10",
        "not trained; error of an estimate 0.18 points",
        "CIFAR-10: estimated accuracy (%)",
        "mean of random cells",
        "random cells (n = 1,000)",
        "93.10 ± 0.54 %",
    ):
        assert words in text
    assert "True accuracy" not in text and "not to be trusted" not in text
    other = with_estimates(search_run("other", seed=1), [92.0, 93.0, 94.5], beyond="five skips")
    runs = [read_run(path) for path in (one, other)]
    assert content.floors(runs)[0] == ("found by the search", "94.00 ± 0.71 %, worst 93.50 %")
    assert content.notes(runs) == [
        "Seed 1: The estimate of the found cells is not to be trusted, beyond its data: five skips."
    ]
    assert content.tiles(runs)[0].value == "94.00 ± 0.71 %"
    third = read_run(with_estimates(search_run("third", method="darts"), [91.0, 92.0, 92.5]))
    drawings = "".join(curves.common_charts([("A", runs), ("B", [third])], "search"))
    assert "CIFAR-10: estimated accuracy (%): A 94.00, B 92.50" in drawings
    assert "points below the best cell" not in drawings


def test_the_cells_that_a_search_tried_are_drawn(search_run: Callable[..., Path]) -> None:
    run = search_run()
    path = run / "metrics.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for number, record in enumerate(records):
        for name in ("entropy", "operation_margin", "edge_margin", "operation_weights", "channel_stability"):
            record.pop(name)
        record["method"] = {"finished": [{"cells": record["genotype"]["cells"], "accuracy": 40.0 + number}]}
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    page = write_report([run]).read_text()
    assert "<h3>Trials" in page and "accuracy on held-out images (%)" in page and "the found cell" in page
    assert "How clearly the search decides" not in page and "weights of the operations" not in page
