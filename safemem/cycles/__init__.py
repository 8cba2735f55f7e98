"""Objects that refer to each other without making cycles."""
