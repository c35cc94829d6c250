"""Scores of generated images: pure functions of images and features."""
