"""From a PyTorch detector to an ONNX file, and from an ONNX file to an engine."""
