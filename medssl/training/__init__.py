"""The training loop around a method: checkpoints, resume, monitors."""
