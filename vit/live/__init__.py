"""Training for visitors: runs that start, wait, are steered, watched and kept, whatever page shows them."""
