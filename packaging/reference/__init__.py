"""The code in, the pages of docs/reference/ out; each page is a file here, `pages.py` lists them."""
