"""What the suites share: scenarios, load, metrics, telemetry, launch artifacts.

========================  =================================================================
``scenario``              what one launch runs: model, engine, workload, load, SLOs
``models``                which models there are, and whether this machine can run one
``lengths``, ``tables``   prompt and output lengths: fixed, or production quantiles
``workload``              a scenario and a seed to a list of requests
``conversation``          multi-turn requests with shared prefixes
``trace``                 a production trace file to requests
``arrivals``              when requests arrive: seeded Poisson
``drive``                 requests through an engine: the only timed loop
``records``, ``metrics``  what happened to each request, and the numbers made of it (pure)
``catalogue``             each metric's unit, direction and kind
``suite``                 a class and a scenario to ``track_*`` methods asv can see
``launch``                one process, one engine, one scenario: the whole of it
``source``                the engine under measurement, and that it is the right commit's
``fingerprint``           what beside the code can move a number
``telemetry``, ``nvml``   the GPU's own numbers in a thread; None where there is none
``artifact``              the JSON-lines file of a launch
========================  =================================================================
"""
