"""The Classify tab: pictures in, what the model says of them, its whole test set, two models beside each other."""
