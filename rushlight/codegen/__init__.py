"""Code generation: expression graphs in, addresses of native kernels out.

=============  ==========================================================================================
``cpu``        the public entries: pointwise, rowwise, transpose
``pointwise``  the loop nest of a pointwise kernel as LLVM text; ``rowwise`` and ``transpose`` likewise
``machine``    one vector's worth of an expression graph as LLVM instructions
``memory``     how element types are kept in memory: loads, stores and conversions between types
``complexpair``  complex expressions as pairs of real ones
``llvm``       LLVM text to object code to a loaded address; ``cache`` keeps the object code on disk
=============  ==========================================================================================

Nothing here knows an operator's name, and nothing here is imported before the first kernel is wanted.
"""
