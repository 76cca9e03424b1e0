"""Numbers of a fixture, as short as its test needs them."""


def shorten(value, digits, zero_below=0.0):
    """`value`, lists and dictionaries included, with so many significant digits; up to `zero_below`: zero."""
    if isinstance(value, float):
        return 0.0 if abs(value) <= zero_below else float(f"{value:.{digits}g}")
    if isinstance(value, list):
        return [shorten(x, digits, zero_below) for x in value]
    if isinstance(value, dict):
        return {key: shorten(x, digits, zero_below) for key, x in value.items()}
    return value
