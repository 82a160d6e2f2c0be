"""Compiled products for one CPU thread, and the matrices that use them."""
