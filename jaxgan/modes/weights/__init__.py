"""Weights of other codebases, by the names of `jaxgan.models`.

Each file knows one family of networks: names and layout of the parameters in
published code, and the fields of a config that follow from shapes.
"""
