"""Messages that are no JSON: `raw` bytes and text, functions of the user's (`function`), and those of a schema registry."""


class FormatError(Exception):
    """DECODER can't be used; the text says why."""
