"""The pictures of LOLWUT: drawn in text, a different one each time."""
