"""Stage 1: from training histories to interest phrases and their embeddings."""
