"""Files → desired: a fleet's directory, read, checked and held so that a resource is built when it is asked for."""

from reconcile.config.load import Inputs, load

__all__ = ["Inputs", "load"]
