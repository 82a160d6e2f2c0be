"""What vendors state of their GPUs: the ceilings beside those that a launch measured.

Source: NVIDIA's datasheets, dense rates without sparsity. H100 SXM and H200: "NVIDIA H100/H200 Tensor Core GPU
Datasheet"; A100 80GB SXM: "NVIDIA A100 Tensor Core GPU Datasheet"; L4 and L40S: their product briefs; B200: "NVIDIA
Blackwell Datasheet", a GPU of the HGX B200.
"""

from __future__ import annotations

from tracker.load.utilization import Ceiling

__all__ = ["DATASHEETS", "datasheet"]

# By a part of the name that NVML gives, the longer first: bytes/s, and FLOP/s of a bfloat16 product.
DATASHEETS = {
    "H100 PCIe": Ceiling(bandwidth=2.0e12, flops=756e12),
    "H100 NVL": Ceiling(bandwidth=3.9e12, flops=835e12),
    "A100-PCIE-40GB": Ceiling(bandwidth=1.555e12, flops=312e12),
    "A100-SXM4-40GB": Ceiling(bandwidth=1.555e12, flops=312e12),
    "A100 80GB PCIe": Ceiling(bandwidth=1.935e12, flops=312e12),
    "A100": Ceiling(bandwidth=2.039e12, flops=312e12),
    "B200": Ceiling(bandwidth=8.0e12, flops=2250e12),
    "GH200": Ceiling(bandwidth=4.0e12, flops=989e12),
    "H200": Ceiling(bandwidth=4.8e12, flops=989e12),
    "H100": Ceiling(bandwidth=3.35e12, flops=989e12),
    "L40S": Ceiling(bandwidth=864e9, flops=362e12),
    "L4": Ceiling(bandwidth=300e9, flops=121e12),
}


def datasheet(gpu_model: str | None) -> Ceiling | None:
    """Return the vendor's figures of a GPU; None of one that is not listed.

    Args:
        gpu_model: As NVML and torch name it: ``"NVIDIA H100 80GB HBM3"``.
    """
    words = (gpu_model or "").replace("-", " ").split()
    for name, ceiling in DATASHEETS.items():
        if all(part in words for part in name.replace("-", " ").split()):
            return ceiling
    return None
