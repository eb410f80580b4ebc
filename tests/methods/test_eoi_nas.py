"""EoiNAS: the temperature, the drops, and what an operation is worth."""

import pytest
import torch

from adarts.methods.eoi_nas import EoiNas
from adarts.searching import SearchTask
from adarts.spaces import DARTS
from tiny import tiny_search

NONE, SKIP, SEP = (DARTS.operations.index(name) for name in ("none", "skip_connect", "sep_conv_3x3"))
TOTALS = {"loss": 1.0, "correct": 1.0, "images": 1.0}


def search(epochs: int = 8, warmup: int = 1) -> tuple[SearchTask, EoiNas]:
    task = tiny_search("eoi-nas", search={"epochs": epochs, "batch_size": 8, "warmup_epochs": warmup})
    assert isinstance(task.method, EoiNas)
    return task, task.method


def temperature(epoch: int, epochs: int, warmup: int) -> float:
    task, method = search(epochs, warmup)
    task.go_to(epoch, 0)
    return method.temperature(task.progress)


def test_the_published_points_of_the_temperature() -> None:
    assert [temperature(epoch, 160, 20) for epoch in (0, 19, 20)] == [5.0] * 3
    assert temperature(21, 160, 20) == 5 * 0.965
    assert temperature(159, 160, 20) == pytest.approx(5 * 0.965**139, rel=1e-12)
    assert temperature(5, 8, 1) == pytest.approx(5 * 0.965**80)  # 4 of 7 epochs are 80 of 140


def test_one_operation_is_dropped_seven_times_evenly() -> None:
    published, method = search(160, 20)
    counts = []
    for epoch in range(160):
        published.go_to(epoch, 0)
        counts.append(method._remaining(published, 8))
    drops = [epoch for epoch in range(1, 160) if counts[epoch] < counts[epoch - 1]]
    assert drops == [39, 59, 79, 99, 119, 139]  # and 159, which is the derivation
    task, _ = search()
    for epoch, count in enumerate((8, 7, 6, 5, 4, 3, 2, 2)):
        task.end_epoch(epoch, dict(TOTALS))
        assert {n for active in task.supernet.active.values() for n in active.sum(1).tolist()} == {count}


def test_the_record_says_what_an_edge_really_has() -> None:
    """An edge of s1 has two operations of the six that the space knows, and none to drop before the derivation."""
    loop = {"epochs": 8, "batch_size": 8, "warmup_epochs": 1}
    for space, first, last in (("s1", 2, 2), ("nasbench201", 5, 2), ("darts", 7, 2)):
        task = tiny_search("eoi-nas", space=space, search=loop)
        found = [task.end_epoch(epoch, dict(TOTALS))["method"]["operations"] for epoch in (1, 6)]
        assert found == [first, last], space


def test_a_step_files_its_accuracy_under_what_was_sampled_for_the_alphas() -> None:
    task, method = search()
    task.step(0, 0)
    assert not any(samples.any() for samples in method.samples.values())  # the warm-up
    sums = [task.step(1, step) for step in range(2)]
    first, last = (100 * float(s["alphas_correct"]) / float(s["alphas_images"]) for s in sums)
    assert first != last
    for kind in DARTS.cell_kinds:
        assert method.samples[kind].sum(1).tolist() == [2.0] * 14
        once, twice = method.samples[kind] == 1, method.samples[kind] == 2
        assert set(method.accuracy[kind][once].tolist()) == {first, last}
        assert set(method.accuracy[kind][twice].tolist()) <= {last}
        assert not method.accuracy[kind][~(once | twice)].any()


def test_importance_is_the_weight_and_half_the_accuracy_in_percent_by_the_samples() -> None:
    """After 20 published epochs of 390 steps, the second term is comparable with the gaps of the softmax."""
    task, method = search()
    method.samples["normal"][2, SEP], method.accuracy["normal"][2, SEP] = 974, 70.0
    importance = method.importance(task.supernet)
    gain_eo = importance["normal"] - task.supernet.operation_weights()["normal"]
    assert gain_eo[2, SEP].item() == pytest.approx(0.5 * 70 / 975, abs=1e-6)
    gain_eo[2, SEP] = 0
    assert not gain_eo.any()


def test_the_least_important_operation_goes_and_everything_begins_anew() -> None:
    task, method = search()
    task.step(1, 0)
    with torch.no_grad():
        task.supernet.alphas["normal"].copy_(torch.zeros(14, 8))
        task.supernet.alphas["normal"][3, SKIP] = -1e-4
        task.supernet.alphas["normal"][3, SEP] = -2e-4
    method.samples["normal"].zero_()
    method.samples["normal"][3, SEP], method.accuracy["normal"][3, SEP] = 1, 1.0  # a good sample saves it
    assert task.alpha_optimizer.state
    task.end_epoch(1, dict(TOTALS))
    active = task.supernet.active["normal"][3]
    assert not active[SKIP] and active[SEP] and active.sum() == 7
    assert not any(t.any() for t in (*method.samples.values(), *method.accuracy.values()))
    assert not task.alpha_optimizer.state
    task.step(2, 0)
    assert method.samples["normal"][3, SKIP] == 0


def test_the_last_drop_is_the_derivation_where_none_goes_first() -> None:
    task, method = search()
    net = task.supernet
    with torch.no_grad():
        for kind in DARTS.cell_kinds:
            rows = [[o in (NONE, SEP) if edge % 2 else o in (SKIP, SEP) for o in range(8)] for edge in range(14)]
            net.set_active(kind, rows)
            net.alphas[kind].zero_()
            net.alphas[kind][:, NONE] = 5.0
            net.alphas[kind][:, SEP] = 0.1
            method.samples[kind][:, SKIP], method.accuracy[kind][:, SKIP] = 1, 1.0
    nodes = task.genotype().cells["normal"].nodes
    # An edge of `none` and a convolution is weak, but a convolution; on the others, accuracy outweighs alpha.
    assert nodes[0] == (("skip_connect", 0), ("sep_conv_3x3", 1))
    assert {operation for pairs in nodes for operation, _ in pairs} <= {"skip_connect", "sep_conv_3x3"}


def test_the_parts_of_a_batch_share_a_sample() -> None:
    task, method = search()
    assert task.halve_batch()
    task.step(1, 0)
    assert method.samples["normal"].sum().item() == 14
