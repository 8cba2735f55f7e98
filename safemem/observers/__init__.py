"""Signals and observed attributes: listeners that neither keep anything alive nor are lost silently."""
