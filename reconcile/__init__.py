"""Plan and apply for fleets of connected devices."""

__version__ = "0.1.0"
