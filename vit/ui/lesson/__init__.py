"""The How it works tab: how a Vision Transformer works, in seven steps on the chosen picture and model."""
