"""The detectors in PyTorch: networks, targets, losses, decoding, data, training."""
