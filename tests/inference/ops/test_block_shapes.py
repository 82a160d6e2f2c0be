"""Block shapes: they fit every device, fill it, and never count on more than it has."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.ops.triton import arrival
from inference.ops.triton.arrival import arrival_counters, num_splits
from inference.ops.triton.attention_blocks import choose_blocks
from inference.ops.triton.device import DeviceShape, device_shape

H100, A100, ADA = (
    DeviceShape(num_sms=132, shared_bytes=232_448, interpreted=False),
    DeviceShape(num_sms=108, shared_bytes=166_912, interpreted=False),
    DeviceShape(num_sms=60, shared_bytes=101_376, interpreted=False),
)


@given(
    group=st.integers(1, 71),
    queries=st.integers(1, 10_000),
    dim=st.sampled_from([16, 24, 64, 80, 96, 128, 192, 256]),
    itemsize=st.sampled_from([2, 4]),
    shape=st.sampled_from([H100, A100, ADA]),
)
def test_attention_blocks_hold_whole_groups_and_two_programs_share_the_memory(
    group: int, queries: int, dim: int, itemsize: int, shape: DeviceShape
) -> None:
    blocks = choose_blocks(group=group, queries=queries, dim=dim, itemsize=itemsize, shape=shape)
    assert blocks.rows >= 16
    assert blocks.context >= 16
    assert blocks.rows.bit_count() == blocks.context.bit_count() == 1
    assert 1 <= blocks.queries == blocks.rows // group
    padded = 1 << (dim - 1).bit_length()
    least = 2 * 2 * 16 * padded * itemsize
    assert 2 * 2 * blocks.context * padded * itemsize <= max(shape.shared_bytes // 2, least)


def test_attention_blocks_follow_the_work_and_the_device() -> None:
    def chosen(queries: int, shape: DeviceShape, itemsize: int = 2) -> tuple[int, int]:
        blocks = choose_blocks(group=4, queries=queries, dim=128, itemsize=itemsize, shape=shape)
        return blocks.rows, blocks.context

    assert chosen(1, H100) == (16, 64)
    assert chosen(1000, H100) == (128, 64)
    assert chosen(1000, ADA) == (128, 32)
    assert chosen(1000, H100, itemsize=4) == (16, 32)


@given(st.integers(1, 10_000), st.integers(0, 500), st.integers(1, 40))
def test_splits_run_at_once_and_each_group_has_a_counter(
    groups: int, most: int, resident: int
) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    splits = num_splits(groups, most, resident, device)
    assert 1 <= splits <= max(most, 1)
    if splits > 1:
        assert groups <= arrival_counters(device).numel()
        assert groups * splits <= resident * device_shape(device).num_sms


def test_a_device_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "device_shape", lambda _: H100)
    device = torch.device("meta")
    assert num_splits(8, 1000, 4, device) == 66  # 528 programs on 132 multiprocessors
    assert num_splits(8, 10, 4, device) == 10  # no more than there is work for
    assert num_splits(600, 10, 4, device) == 1
