"""What is concluded from the correlated state."""
