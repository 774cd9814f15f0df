"""What operators outside of the pointwise and rowwise families run on a GPU; each topic is imported at its first use."""
