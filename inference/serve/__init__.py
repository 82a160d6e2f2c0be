"""An OpenAI-compatible server around one engine: ``python -m inference.serve MODEL``.

===============  ==========================================================================
``engine_loop``  the engine in a thread of its own: requests in, tokens out
``protocol``     a request's JSON to a prompt and ``SamplingParams``; tokens to JSON
``app``          the routes, as a plain ASGI application
``exposition``   the engine's counters as Prometheus text
===============  ==========================================================================

Needs the extra ``serve`` (uvicorn). The application itself needs no web framework: six routes are a
dictionary, and each token is one call of ``send``.
"""
