"""What a trained model's card tells, measured on its test set."""
