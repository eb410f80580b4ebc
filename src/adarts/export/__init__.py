"""From a trained network to a file, to predictions, and to a server.

Predictions of an ONNX file need no torch. So `facts`, `loaded`, `predict` and `server` work without it, and this package
imports nothing by itself.
"""
