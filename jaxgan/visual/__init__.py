"""Draws arrays: grids of images, animations, curves and palettes."""
