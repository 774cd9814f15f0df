"""The core in Cython: tensors, the tape, operators and their loops; docs/internals.md says which file holds what."""
