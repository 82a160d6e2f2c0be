"""The HTTP service: results in, histories and verdicts out, without database credentials.

=============  ===========================================================================
``tokens``     who may do what until when
``entrance``   what a request passes before a route: token, rate, size
``app``        the routes
``documents``  what the routes answer with, as JSON values
``metrics``    the store's state as Prometheus text
``problems``   errors as problem documents (RFC 9457)
``client``     the other end: a store whose writes go to such a service
=============  ===========================================================================

The service needs the extra ``api`` (FastAPI, uvicorn); the client and the tokens need nothing.
"""
