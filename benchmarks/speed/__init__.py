"""The speed targets, rivals side by side: ``python -m benchmarks.speed``."""
