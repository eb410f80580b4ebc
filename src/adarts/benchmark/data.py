"""Images a second of the data pipeline, and what share of a search step it takes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from adarts.benchmark.outcome import Conditions, Outcome, provenance, seconds
from adarts.benchmark.plots import Bars, bars_svg
from adarts.benchmark.subjects import SearchStep, synthetic
from adarts.benchmark.timing import Clock, Seconds, in_turn
from adarts.benchmark.variants import Variant
from adarts.data import Augmentation, Batches

CROP_PADDING = 4
PIPELINES = {"crop, flip": 0.0, "crop, flip, cutout": 0.5}
"""What is done besides the normalization, and the cutout's side as a share of the image's: 16 of 32 pixels."""
_BATCHES = 20


def time_data(variant: Variant, conditions: Conditions, images: int = 50_000) -> Outcome:
    """Measure the batches of the pipeline, and beside them the search step of a variant.

    Args:
        variant: whose batch, image size and step.
        conditions: how to measure.
        images: how many there are to choose from; CIFAR's number, so that they lie beyond the processor's caches.
    """
    data = synthetic(max(images, variant.batch), variant.size)
    clock = Clock(conditions.device)

    def batches(cutout: float) -> Batches:
        return Batches(
            data.train,
            torch.arange(len(data.train)),
            batch_size=variant.batch,
            seed=0,
            purpose="benchmark",
            augmentation=Augmentation(data.mean, data.std, CROP_PADDING, True, round(cutout * variant.size)),
            device=conditions.device,
            drop_last=True,
        )

    def some(pipeline: Batches) -> Seconds:
        begin = clock()
        for number in range(_BATCHES):
            pipeline.batch(0, number % len(pipeline))
        return {"batch": (clock() - begin) / _BATCHES}

    pipelines = {name: batches(cutout) for name, cutout in PIPELINES.items()}
    subjects = {name: lambda pipeline=pipeline: some(pipeline) for name, pipeline in pipelines.items()}
    times = in_turn(
        {**subjects, variant.label: SearchStep(variant, conditions.device)},
        conditions.repeats,
        conditions.warmup,
        conditions.say,
    )
    step = times[variant.label]["both"].median
    records: list[dict[str, Any]] = []
    for name in pipelines:
        batch = times[name]["batch"]
        records.append(
            {
                "label": name,
                "images_per_second": variant.batch / batch.median,
                "seconds": batch.median,
                "rounds": list(batch.rounds),
                "step_seconds": step,
                "share_of_step": 2 * batch.median / step,  # one batch for each of the two updates
            }
        )
    title = f"Data pipeline, {variant.size}x{variant.size}, batches of {variant.batch}: {conditions}"
    return Outcome(
        name="data",
        title=title,
        settings={"variant": asdict(variant), "images": len(data.train), "threads": conditions.threads},
        records=records,
        head=["pipeline", "images/s", "a batch", f"share of a step ({variant.label}, {seconds(step)})"],
        rows=[
            [r["label"], f"{r['images_per_second']:,.0f}", seconds(r["seconds"]), f"{r['share_of_step']:.2%}"]
            for r in records
        ],
        svg=bars_svg(
            title,
            [
                Bars(
                    "images a second",
                    [(r["label"], r["images_per_second"], f"{r['images_per_second']:,.0f}") for r in records],
                )
            ],
        ),
        notes=["every pipeline ends with the normalization; a step takes two batches"],
        provenance=provenance(conditions.device),
    )
