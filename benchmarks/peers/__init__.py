"""Other engines' servers under the same load as ours: ``make peers``.

===============  ==========================================================================
``environments`` sets each peer up once, in an environment of its own under the cache
``servers``      how each is started, and when it is ready
``fake``         a server with known times, to see what a client can carry
``capacity``     requests and tokens a second that one client process carries
``table``        the results as Markdown, into ``docs/http.md``
===============  ==========================================================================
"""
