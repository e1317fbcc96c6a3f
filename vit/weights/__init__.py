"""Model folders: saving and loading them, the card that describes them, and their way to the Hub."""
