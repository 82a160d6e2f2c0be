"""Which phase and which function, op or kernel of a commit got slower, with an interval on each difference.

`capture.py` measures interleaved pairs of traces; everything after it is pure: `trace.py` reads a file,
`tree.py` makes a call tree of it, `match.py` lays the trees of two commits over each other, `blame.py`
charges every difference to what brought it about, `differences.py` tells the differences from noise.
"""
