"""Stand-ins for cameras and devices."""
