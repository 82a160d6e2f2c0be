"""Functions that write, each inside a transaction of the caller; `Store` is their front."""
