# Copies of rows that may begin anywhere.

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* The C library moves more than some 2 KB by `rep movsb`, which AMD's processors do at a tenth of their speed where
       the addresses are not aligned. */
    static inline void rl_copy_row(char *to, const char *from, size_t n) {
        size_t i = 0;
        if (n >= 2048 && (((uintptr_t)to | (uintptr_t)from) & 15))
            for (; i + 64 <= n; i += 64)
                __builtin_memcpy(to + i, from + i, 64);
        memcpy(to + i, from + i, n - i);
    }
    """
    void copy_row "rl_copy_row"(char* to, const char* source, size_t n) noexcept nogil
