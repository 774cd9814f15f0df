"""Code generation: expression graphs in, addresses of native kernels out.

=============  ==================================================================================================
``cpu``        the public entries: pointwise, rowwise, transpose
``lower``      a semantic graph as machine operations; ``complexpair``: complex expressions as pairs of real ones
``pointwise``  the loop nest of a pointwise kernel as LLVM text; ``rowwise``, ``transpose`` and ``gemm`` likewise
``reduction``  accumulators of the rowwise kernels, and their stages
``machine``    one vector's worth of an expression graph as LLVM instructions
``access``     vectors of operands in memory: contiguous, strided, at offsets, masked
``memory``     conversions between element types, small floats included
``text``       LLVM's text form: types, constants, a builder
``llvm``       LLVM text to object code; what LLVM says of this machine; ``cache`` keeps both on disk
=============  ==================================================================================================

Nothing here knows an operator's name, and nothing here is imported before the first kernel is wanted.
"""
