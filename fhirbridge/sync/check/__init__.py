"""What a hospital's server can do of what we need, step by step: nothing is written there."""
