"""Weights in fewer bits or fewer numbers, made or read before an engine starts; no request passes here."""
