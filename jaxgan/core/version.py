"""The version of jaxgan."""

__version__ = '0.1.0'
