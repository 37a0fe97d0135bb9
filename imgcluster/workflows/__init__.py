"""What each command does, in order, on one screen."""
