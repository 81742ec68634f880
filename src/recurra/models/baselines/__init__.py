"""Models without gradients, which a network has to beat."""
