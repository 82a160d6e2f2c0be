"""Exactly one program is the last, every time. In one order, as interpreted, it is the last one."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from inference.ops.triton.arrival import Counters, arrival_counters, counters_of_one_engine, is_last


@triton.jit
def _record(counters_ptr, last_ptr, count):
    group, member = tl.program_id(0), tl.program_id(1)
    last = is_last(counters_ptr + group, count)
    tl.store(last_ptr + group * count + member, last.to(tl.int32))


def test_one_of_each_group_is_the_last_and_the_counters_start_anew(device: torch.device) -> None:
    counters = arrival_counters(device)
    groups, members = 3, 4
    for _ in range(2):
        last = torch.zeros(groups, members, dtype=torch.int32, device=device)
        _record[(groups, members)](counters, last, members)
        assert (last.sum(dim=1) == 1).all()
        if device.type == "cpu":
            assert last[:, -1].all()
        assert not counters.any()


def test_engines_share_no_counters(device: torch.device) -> None:
    one: Counters = {}
    other: Counters = {}
    with counters_of_one_engine(one):
        mine = arrival_counters(device)
        with counters_of_one_engine(other):
            theirs = arrival_counters(device)
        assert arrival_counters(device) is mine
    assert len({t.data_ptr() for t in (mine, theirs, arrival_counters(device))}) == 3
