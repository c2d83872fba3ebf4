"""`medssl init` for folders of images and reports."""
