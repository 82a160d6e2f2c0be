"""An OpenAI-compatible server as the target of a load; see ``docs/http.md``.

=====================  ====================================================================
``endpoint``           where to send a load, and the target that it opens
``server``             what answers there, asked once before the load
``payload``            requests as JSON, for completions and for chat
``client``             one request: sent once, every read with its time
``drive``              the whole load, in one event loop
``loop``, ``lag``      how late the client itself was, and when that voids a load
``workers``            the load from several processes; ``worker`` is one of them
``sse``, ``reply``     bytes to events to tokens and their times (pure)
``failure``            what can go wrong with a request, by kind
``prometheus``         the server's own metrics
=====================  ====================================================================
"""

from tracker.load.http.endpoint import Endpoint
from tracker.load.http.lag import Lag

__all__ = ["Endpoint", "Lag"]
