"""How fast, and how well within minutes, this package trains, beside others; and where the time of a step goes."""
