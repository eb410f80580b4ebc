"""What others counted and wrote: the sizes and texts that the zoo must agree with, independent of its data."""

MILLIONS = {
    "ADARTS_V1": "2.898",
    "ADARTS_V2": "3.394",
    "DARTS_V1": "3.169",
    "DARTS_V2": "3.349",
    "PC_DARTS_cifar": "3.635",
    "PC_DARTS_image": "3.722",
    "PDARTS": "3.434",
    "GDAS_V1": "3.369",
    "SNAS_mild": "2.661",
    "SNAS_moderate": "2.847",
    "SNAS_aggressive": "2.314",
    "c10_s5_random": "3.606",
    "c10_s5_pgd": "3.345",
    "GNAS": "4.142",
    "GNAS_2": "3.526",
    "NASNet": "3.831",
    "AmoebaNet": "3.145",
    "PNASNet": "4.481",
    "ENASNet": "4.020",
    "ENAS_micro_arc": "4.395",
    "CARS_A": "2.432",
    "CARS_B": "2.673",
    "CARS_C": "2.797",
    "CARS_D": "2.907",
    "CARS_E": "2.977",
    "CARS_F": "3.142",
    "CARS_G": "3.194",
    "CARS_H": "3.349",
    "CARS_I": "3.595",
    "CARS_Lat_A": "1.544",
    "CARS_Lat_B": "1.665",
    "CARS_Lat_C": "1.735",
    "CARS_Lat_D": "2.100",
    "CARS_Lat_E": "1.890",
    "CARS_Lat_F": "2.304",
    "CARS_Lat_G": "3.065",
    "MdeNAS": "3.783",
    "DrNAS_cifar10": "4.099",
    "DrNAS_imagenet": "4.049",
    "cifar10_s0_0": "3.454",
    "cifar10_s0_1": "3.634",
    "cifar10_s0_2": "3.739",
    "cifar10_s0_3": "3.437",
    "cifar10_s0_4": "3.446",
    "cifar100_s0_0": "3.369",
    "cifar100_s0_1": "3.422",
    "cifar100_s0_2": "3.244",
    "cifar100_s0_3": "3.355",
    "darts_pt_s5_0": "2.851",
    "darts_pt_s5_1": "3.053",
    "darts_pt_s5_2": "2.658",
    "darts_pt_s5_3": "3.328",
    "blank_pt_s5_0": "3.040",
    "blank_pt_s5_1": "3.148",
    "blank_pt_s5_2": "2.582",
    "blank_pt_s5_3": "3.405",
    "lambdadarts_corr_0": "3.321",
    "lambdadarts_corr_1": "3.673",
    "lambdadarts_corr_2": "3.534",
    "lambdadarts_corr_3": "3.604",
    "lambdadarts_sign_0": "3.512",
    "lambdadarts_sign_1": "3.606",
    "lambdadarts_sign_2": "3.755",
    "lambdadarts_sign_3": "3.405",
    "oles_cifar10": "4.222",
    "oles_cifar100": "2.588",
    "ISDARTS": "4.716",
    "ISTA_twostage": "3.317",
    "ISTA_onestage": "3.364",
    "ISTA_ImageNet": "4.018",
    "shapley_nas_cifar10": "3.603",
    "shapley_nas_imagenet": "3.815",
    "Cri1_CIFAR_1": "3.750",
    "Cri1_CIFAR_2": "3.730",
    "Cri1_CIFAR_3": "3.795",
    "Cri2_CIFAR_1": "4.144",
    "Cri2_CIFAR_3": "4.094",
    "Cri2_CIFAR_4": "3.909",
    "Cri2_CIFAR_5": "3.687",
    "TENAS_cifar10": "4.138",
    "TENAS_imagenet": "3.779",
    "TEGNAS_RL": "3.558",
    "TEGNAS_Evolution": "3.980",
    "TEGNAS_ProbNAS": "4.138",
    "PRDARTS": "3.445",
    "ASHA200": "2.243",
    "edarts4": "1.938",
    "genotype": "2.568",
    "alphaADARTS_genotype": "3.032",
    "alphaADARTS_genotype1": "3.286",
    "alphaADARTS_genotype2": "3.544",
    "FairDARTS_a": "2.361",
    "FairDARTS_b": "3.408",
    "FairDARTS_c": "2.599",
    "FairDARTS_d": "3.366",
    "FairDARTS_e": "2.644",
    "FairDARTS_f": "3.151",
    "FairDARTS_g": "2.899",
}
"""Millions of parameters with 36 channels, 20 cells and 10 classes, without the auxiliary head; by the names in the sources."""

PARAMETERS = {
    "ADARTS_V1": 2_897_902,
    "ADARTS_V2": 3_394_486,
    "DARTS_V2": 3_349_342,
}
"""The same to the digit."""

DESIGNED = {
    "resnet110": 1_727_962,
    "resnet1202": 19_421_274,
    "densenet_bc_190_40": 25_624_430,
    "vgg19_bn": 20_040_522,
    "mobilenet_v2": 2_236_682,
}
"""Parameters of the hand-designed networks for 10 classes."""

TRIPLES = {
    "FairDARTS_a": (
        "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_5x5', 2, 1), ('max_pool_3x3', 4, 0), ('sep_conv_3x3', 5, 0)], "
        "reduce=[('max_pool_3x3', 2, 0), ('avg_pool_3x3', 2, 1), ('avg_pool_3x3', 3, 0), ('dil_conv_5x5', 3, 1), "
        "('avg_pool_3x3', 4, 0), ('sep_conv_5x5', 4, 1), ('skip_connect', 5, 0), ('skip_connect', 5, 1)])"
    ),
    "FairDARTS_b": (
        "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_3x3', 2, 1), ('sep_conv_3x3', 3, 1), ('dil_conv_3x3', 4, 0), "
        "('sep_conv_5x5', 4, 1), ('dil_conv_5x5', 5, 1)], "
        "reduce=[('skip_connect', 2, 0), ('dil_conv_3x3', 2, 1), ('skip_connect', 3, 0), ('dil_conv_3x3', 3, 1), "
        "('max_pool_3x3', 4, 0), ('sep_conv_3x3', 4, 1), ('skip_connect', 5, 2), ('max_pool_3x3', 5, 0)])"
    ),
    "FairDARTS_c": (
        "Genotype(normal=[('max_pool_3x3', 2, 0), ('sep_conv_5x5', 2, 1), ('dil_conv_3x3', 4, 0), ('dil_conv_5x5', 4, 2), "
        "('skip_connect', 5, 3), ('sep_conv_3x3', 5, 0)], "
        "reduce=[('dil_conv_3x3', 2, 1), ('dil_conv_5x5', 2, 0), ('dil_conv_3x3', 3, 0), ('sep_conv_3x3', 3, 1), "
        "('sep_conv_5x5', 4, 0), ('sep_conv_5x5', 4, 3), ('sep_conv_5x5', 5, 0), ('skip_connect', 5, 1)])"
    ),
    "FairDARTS_d": (
        "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_5x5', 2, 1), ('dil_conv_3x3', 3, 1), ('max_pool_3x3', 3, 0), "
        "('dil_conv_3x3', 4, 0), ('dil_conv_3x3', 4, 1), ('sep_conv_3x3', 5, 0), ('dil_conv_5x5', 5, 1)], "
        "reduce=[('max_pool_3x3', 2, 0), ('sep_conv_5x5', 2, 1), ('avg_pool_3x3', 3, 0), ('dil_conv_5x5', 3, 2), "
        "('dil_conv_3x3', 4, 3), ('avg_pool_3x3', 4, 0), ('avg_pool_3x3', 5, 0), ('skip_connect', 5, 3)])"
    ),
    "FairDARTS_e": (
        "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_3x3', 2, 1), ('dil_conv_3x3', 4, 1), ('dil_conv_3x3', 4, 2), "
        "('dil_conv_3x3', 5, 0), ('dil_conv_5x5', 5, 1)], "
        "reduce=[('max_pool_3x3', 2, 1), ('max_pool_3x3', 2, 0), ('max_pool_3x3', 3, 1), ('max_pool_3x3', 3, 0), "
        "('sep_conv_5x5', 4, 1), ('max_pool_3x3', 4, 0), ('avg_pool_3x3', 5, 0), ('dil_conv_5x5', 5, 1)])"
    ),
    "FairDARTS_f": (
        "Genotype(normal=[('max_pool_3x3', 2, 0), ('sep_conv_3x3', 2, 1), ('dil_conv_3x3', 3, 1), ('sep_conv_5x5', 4, 1), "
        "('sep_conv_3x3', 5, 0), ('sep_conv_3x3', 5, 1)], "
        "reduce=[('max_pool_3x3', 2, 0), ('max_pool_3x3', 2, 1), ('max_pool_3x3', 3, 0), ('dil_conv_3x3', 3, 1), "
        "('dil_conv_3x3', 4, 2), ('max_pool_3x3', 4, 0), ('max_pool_3x3', 5, 0), ('sep_conv_3x3', 5, 1)])"
    ),
    "FairDARTS_g": (
        "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_3x3', 2, 1), ('skip_connect', 4, 3), ('sep_conv_5x5', 4, 1), "
        "('dil_conv_3x3', 5, 0), ('sep_conv_3x3', 5, 1)], "
        "reduce=[('avg_pool_3x3', 2, 1), ('skip_connect', 2, 0), ('skip_connect', 3, 2), ('max_pool_3x3', 3, 1), "
        "('sep_conv_5x5', 4, 3), ('max_pool_3x3', 4, 0), ('dil_conv_3x3', 5, 1), ('dil_conv_3x3', 5, 4)])"
    ),
}
"""FairDARTS's cells as its code has them: (operation, node, source)."""

TABLE_1 = (
    (1.7, None, 6.43, 25.16),  # ResNet(depth=110)
    (10.2, None, 7.93, 27.82),  # ResNet(depth=1202)
    (25.6, None, 3.46, 17.18),  # DenseNet-BC
    (20.1, None, 6.66, 28.05),  # VGG
    (2.2, None, 4.26, 19.20),  # MobileNetV2
    (None, 17, 7.10, 29.05),  # Genetic CNN
    (2.8, 3150, 2.55, None),  # AmoebaNet-B
    (15.7, 300, 3.75, None),  # Hierarchical Evolution
    (2.4, 0.4, 3.00, None),  # CARS
    (4.6, 0.5, 2.89, 19.43),  # ENAS
    (3.3, 1800, 3.41, None),  # NASNet-A
    (3.3, 1800, 2.65, None),  # NASNet-A + cutout
    (16, 1.5, 4.03, None),  # SMASH
    (3.3, 1.5, 3.00, 17.76),  # DARTS (first order) + cutout
    (3.3, 4.0, 2.76, 17.54),  # DARTS (second order) + cutout
    (3.4, 0.2, 3.87, 19.68),  # GDAS
    (3.4, 0.2, 2.93, 19.38),  # GDAS+cutout
    (2.8, 1.5, 2.85, 17.55),  # SNAS + cutout
    (3.4, 0.3, 2.50, 17.20),  # P-DARTS + cutout
    (3.6, 0.1, 2.57, None),  # PCDARTS + cutout
    (2.8, 0.4, 2.54, 17.61),  # FairDARTS + cutout
    (3.3, 1.3, 2.61, 16.73),  # SDARTS-ADV + cutout
    (3.4, 0.6, 2.50, 17.30),  # EoiNAS + cutout
    (2.9, 0.2, 3.70, 18.21),  # ADARTS
    (2.9, 0.2, 2.46, 17.06),  # ADARTS + cutout
)
"""Table I of the ADARTS paper: millions of parameters, GPU days, test errors in per cent on CIFAR-10 and CIFAR-100."""
