"""Lengths of production requests, as quantiles: facts computed from three public traces.

Each number is numpy's linear quantile over every request of the trace, rounded to a token.
Prompt and output lengths are close to uncorrelated in all three (Pearson's r -0.11, 0.00 and
0.07), so the suites draw them independently.

Source: ``AzureLLMInferenceTrace_conv.csv`` (19,366 requests) and ``AzureLLMInferenceTrace_code.csv``
(8,819), Azure/AzurePublicDataset, one hour of 2023-11-16, CC-BY-4.0; Mooncake's
``conversation_trace.jsonl`` (12,031 requests), kvcache-ai/Mooncake, Apache-2.0.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LEVELS", "TABLES", "QuantileTable"]

LEVELS = (
    0.0, 0.01, 0.05, 0.10, 0.20, 0.25, 0.30, 0.40, 0.50,
    0.60, 0.70, 0.75, 0.80, 0.90, 0.95, 0.99, 1.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class QuantileTable:
    """A distribution of token counts, given at ``LEVELS``.

    Attributes:
        name: ``<trace>_<prompt or output>``.
        tokens: One count for each of ``LEVELS``, never falling.
    """

    name: str
    tokens: tuple[int, ...]

    def at(self, level: float) -> float:
        """Return the quantile at ``level`` in [0, 1], linear between the table's entries.

        Raises:
            ValueError: ``level`` is outside [0, 1].
        """
        if not 0.0 <= level <= 1.0:
            raise ValueError(f"level is {level!r}; give a number in [0, 1]")
        for i in range(1, len(LEVELS)):
            if level <= LEVELS[i]:
                low, high = LEVELS[i - 1], LEVELS[i]
                share = (level - low) / (high - low)
                return self.tokens[i - 1] + share * (self.tokens[i] - self.tokens[i - 1])
        raise AssertionError("the last level is 1")


_ALL = (
    QuantileTable(
        "azure_conv_prompt",
        (2, 29, 181, 207, 387, 396, 403, 703, 1020, 1071, 1130, 1189, 1315, 2734, 4083, 4142, 14050),
    ),
    QuantileTable(
        "azure_conv_output",
        (7, 16, 41, 54, 77, 85, 91, 103, 129, 177, 384, 395, 400, 424, 451, 601, 1000),
    ),
    QuantileTable(
        "azure_code_prompt",
        (3, 17, 75, 147, 386, 578, 770, 1075, 1469, 1909, 2433, 2744, 3192, 5188, 7303, 7436, 7437),
    ),
    QuantileTable(
        "azure_code_output",
        (6, 6, 6, 7, 8, 9, 9, 11, 13, 16, 20, 24, 29, 55, 90, 251, 1899),
    ),
    QuantileTable(
        "mooncake_prompt",
        (
            891, 894, 901, 964, 1662, 2306, 3263, 4993, 6909,
            9570, 13196, 15367, 17869, 27367, 39550, 85400, 126195,
        ),
    ),
    QuantileTable(
        "mooncake_output",
        (1, 3, 10, 24, 100, 156, 213, 291, 350, 399, 447, 472, 504, 597, 698, 1119, 2000),
    ),
)  # fmt: skip

TABLES = {table.name: table for table in _ALL}
