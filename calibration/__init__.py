"""INT8: activation ranges and explicit quantize/dequantize nodes."""
