"""Ports to storage (documents, events, secrets, objects) and their adapters.

A URI names the adapter, as ``sqlite:///path`` or ``secretmanager://project``; see ``shared.stores.connect``.
"""
