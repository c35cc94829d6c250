"""--mode=explore: a page in the browser that shows a trained run."""
