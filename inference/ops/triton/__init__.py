"""The Triton kernels, one file beside each reference file of ``inference.ops``.

Nothing imports this package but the registry, when an engine chooses Triton. A function here has
the signature and the contract of its reference, and two rules of its own:

- inputs are contiguous; others raise ValueError rather than be copied in silence;
- launches depend on shapes and host values only, never on what a device tensor holds, so that a
  CUDA graph may replay them.
"""
