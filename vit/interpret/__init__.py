"""Looking inside a model: attention as numbers and words, relevance, the logit lens, what each head is for."""
