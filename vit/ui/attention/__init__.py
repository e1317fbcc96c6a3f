"""The Attention tab: every map of a picture, drawn in the page, and studies of heads over many pictures."""
