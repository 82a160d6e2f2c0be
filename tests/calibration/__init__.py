"""Calibration: how often the gate and the detector are wrong, and how small a change they find.

`make calibration` simulates every cell of the tables in `docs/statistics.md` and writes them there.
The tests run the same simulations at a smaller size.

* `noise`: launches in time, in the shapes that machines show.
* `gates`: one simulated gate, and tallies of many.
* `candidates`: other sequential tests on the same pairs.
* `peers`: what other tools would have said of the same launches.
* `tables`: the gate's tables, row by row.
* `history`: the detector's tables.
* `__main__`: runs them in two processes, keeps what is finished, writes the page.
"""
