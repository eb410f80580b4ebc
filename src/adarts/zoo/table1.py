"""Table I of the ADARTS paper, as printed, with our remarks on each row.

Xue, Qin: Partial Connection Based on Channel Attention for Differentiable Neural Architecture Search, IEEE TII 2023.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        system: as printed.
        kind: how it was found, as printed.
        size: millions of parameters, as printed.
        gpu_days: cost of the search, as printed.
        cifar10_error: test error on CIFAR-10 in percent, as printed.
        cifar100_error: test error on CIFAR-100.
        ours: name in the zoo, or None.
    """

    system: str
    kind: str
    size: float | None
    gpu_days: float | None
    cifar10_error: float
    cifar100_error: float | None
    ours: str | None

    @property
    def note(self) -> str:
        """Errors in the row, or differences from our counts."""
        return _NOTES.get(self.system, "")


_HAND, _EVOLUTION, _RL, _GRADIENT = "manual", "evolution", "RL", "gradient-based"

TABLE = (
    Row("ResNet (depth 110)", _HAND, 1.7, None, 6.43, 25.16, "resnet110"),
    Row("ResNet (depth 1202)", _HAND, 10.2, None, 7.93, 27.82, "resnet1202"),
    Row("DenseNet-BC", _HAND, 25.6, None, 3.46, 17.18, "densenet_bc_190_40"),
    Row("VGG", _HAND, 20.1, None, 6.66, 28.05, "vgg19_bn"),
    Row("MobileNetV2", _HAND, 2.2, None, 4.26, 19.20, "mobilenet_v2"),
    Row("Genetic CNN", _EVOLUTION, None, 17, 7.10, 29.05, None),
    Row("AmoebaNet-B", _EVOLUTION, 2.8, 3150, 2.55, None, None),
    Row("Hierarchical Evolution", _EVOLUTION, 15.7, 300, 3.75, None, None),
    Row("CARS", _EVOLUTION, 2.4, 0.4, 3.00, None, "CARS_A"),
    Row("ENAS", _RL, 4.6, 0.5, 2.89, 19.43, "ENAS_micro"),
    Row("NASNet-A", _RL, 3.3, 1800, 3.41, None, "NASNet"),
    Row("NASNet-A + cutout", _RL, 3.3, 1800, 2.65, None, "NASNet"),
    Row("SMASH", _RL, 16, 1.5, 4.03, None, None),
    Row("DARTS (first order) + cutout", _GRADIENT, 3.3, 1.5, 3.00, 17.76, "DARTS_V1"),
    Row("DARTS (second order) + cutout", _GRADIENT, 3.3, 4.0, 2.76, 17.54, "DARTS_V2"),
    Row("GDAS", _GRADIENT, 3.4, 0.2, 3.87, 19.68, "GDAS_V1"),
    Row("GDAS + cutout", _GRADIENT, 3.4, 0.2, 2.93, 19.38, "GDAS_V1"),
    Row("SNAS + cutout", _GRADIENT, 2.8, 1.5, 2.85, 17.55, "SNAS_moderate"),
    Row("P-DARTS + cutout", _GRADIENT, 3.4, 0.3, 2.50, 17.20, "PDARTS"),
    Row("PC-DARTS + cutout", _GRADIENT, 3.6, 0.1, 2.57, None, "PC_DARTS_cifar"),
    Row("FairDARTS + cutout", _GRADIENT, 2.8, 0.4, 2.54, 17.61, "FairDARTS_a"),
    Row("SDARTS-ADV + cutout", _GRADIENT, 3.3, 1.3, 2.61, 16.73, "SDARTS_ADV"),
    Row("EoiNAS + cutout", _GRADIENT, 3.4, 0.6, 2.50, 17.30, "EOINAS_2"),
    Row("ADARTS", _GRADIENT, 2.9, 0.2, 3.70, 18.21, "ADARTS_V1"),
    Row("ADARTS + cutout", _GRADIENT, 2.9, 0.2, 2.46, 17.06, "ADARTS_V1"),
)
"""All 25 rows, of 22 systems."""

_MACRO = "The published size is for its own paper's network; ours is for its cells in the network of DARTS."
_NOTES = {
    "ResNet (depth 110)": "25.16 % belongs to ResNet-164.",
    "ResNet (depth 1202)": "It has 19.4 M parameters, not 10.2 M. 27.82 % belongs to ResNet-1001.",
    "VGG": "It is VGG-19 with batch normalization and one linear layer; 20.1 M is its size with 100 classes.",
    "MobileNetV2": "The source of the errors is unknown; trained on CIFAR alone it does not reach them.",
    "AmoebaNet-B": "The zoo's AmoebaNet is AmoebaNet-A, another cell.",
    "ENAS": f"{_MACRO} According to the table of NASI, 19.43 % was measured without cutout.",
    "NASNet-A": _MACRO,
    "NASNet-A + cutout": _MACRO,
    "SMASH": "It is a hypernetwork with random search, not RL.",
    "DARTS (first order) + cutout": "3.3 M is the size of second order. 1.5 GPU days is from the paper's first version; "
    "the published one says 0.4.",
    "DARTS (second order) + cutout": "4.0 GPU days is from the paper's first version; the published one says 1.0.",
    "GDAS + cutout": "On CIFAR-100 the table of NASI quotes 18.38 %.",
    "P-DARTS + cutout": "On CIFAR-100 the table of APD (2025) quotes 16.63 % from P-DARTS's own paper.",
    "PC-DARTS + cutout": "The text calls its choice of channels random; its code takes the first ones and shuffles.",
    "FairDARTS + cutout": "2.8 M includes the auxiliary head, unlike all other rows; without it, the size is 2.36 M.",
    "SDARTS-ADV + cutout": "The error on CIFAR-100 is not from its own paper.",
    "EoiNAS + cutout": "Neither cell in its code has 3.4 M: EOINAS_2 has 3.53 M, EOINAS 4.14 M.",
    "ADARTS + cutout": "One number without a spread. The paper gives its gain over DARTS as 0.3 and 0.48 points; "
    "trainings of one cell of DARTS differ by ± 0.09.",
}
