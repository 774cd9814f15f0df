"""The kernel language: typed expressions, their derivatives and their machine-level expansion. Imports nothing else of rushlight."""
