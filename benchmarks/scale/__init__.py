"""What a million users and more would take: see ``__main__``."""
