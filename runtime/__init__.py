"""What runs on the device: NumPy and OpenCV, plus one inference backend where chosen."""
