"""The engine of this repository as the target of a load, and what only its suites need.

=====================  ====================================================================
``in_process``         the engine in this process as a target of ``tracker.load``
``source``             the engine under measurement, and that it is the right commit's
``models``             which models there are, and whether this machine can run one
``sizes``              engine settings and lengths that fit each model
``fingerprint``        what beside the code can move a number, asked of torch
``memory``             peaks of the process and of the device
``control``            a fixed workload around the load that no commit touches
``kernel``, ``timer``  one op alone on a GPU
``host``               a decoding step with the model stubbed out
``find``               suite classes by name
=====================  ====================================================================
"""
