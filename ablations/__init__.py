"""Did this change make the model worse? Runs from config files, and verdicts with their error rates."""
