# cython: language_level=3
# Device codes: 0 is the CPU, 1 + i is cuda:i, and META is the device "meta".
#
# A tensor there has a shape, a dtype and strides, but no memory. It takes the ways of a GPU's tensors through all operators: these find shapes and
# allocate before they queue a kernel or a copy, and what queues does nothing for META. So shapes are found by the code that computes, not by a copy
# of its rules. Its storages have addresses that lie in no memory, each its own: views and overlaps are told by addresses.
cdef enum:
    META = 100
