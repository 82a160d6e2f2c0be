"""Peak memory, read from what the kernel says."""

from __future__ import annotations

from benchmarks.engine.memory import forget_peaks, peak_cuda_memory, peak_rss


def test_peak_rss_is_in_bytes(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  900 kB\nVmHWM:\t  123 kB\n")
    assert peak_rss(status) == 123 * 1024


def test_a_kernel_that_does_not_say_is_none(tmp_path):
    assert peak_rss(tmp_path / "nowhere") is None
    (tmp_path / "status").write_text("Name:\tpython\n")
    assert peak_rss(tmp_path / "status") is None


def test_this_process_has_a_peak():
    assert peak_rss() > 2**20


def test_a_cpu_has_no_cuda_memory():
    assert peak_cuda_memory("cpu") is None


def test_a_forgotten_peak_counts_no_more(tmp_path):
    held = bytearray(64 << 20)
    high = peak_rss()
    assert high > len(held)
    del held
    forget_peaks("cpu")
    assert peak_rss() < high - (32 << 20)
    forget_peaks("cpu", tmp_path / "nowhere" / "clear_refs")  # what cannot be reset stays
