"""The load harness: what any suite needs to put load on an engine or a server and time it.

Free of torch, and of everything that judges, so that suites in any repository can import it.

========================  =================================================================
``scenario``              what is run: model, engine settings, workload, load, SLOs
``lengths``, ``tables``   prompt and output lengths: fixed, or production quantiles
``workload``              a scenario and a seed to a list of requests
``conversation``          multi-turn requests with shared prefixes
``trace``                 a production trace file to requests
``arrivals``              when requests arrive
``target``                what serves the load: an engine in this process, or a server
``drive``                 requests through an engine: the only timed loop in this process
``records``, ``metrics``  what happened to each request, and the metrics made of it (pure)
``catalogue``             each metric's unit, direction and kind
``run``                   one scenario against one target, from warm-up to artifact
``suite``                 a class and a scenario to ``track_*`` methods that asv can see
``telemetry``, ``nvml``   the GPU's own numbers in a thread; None where there is none
``artifact``              the JSON-lines file of a launch
========================  =================================================================
"""
