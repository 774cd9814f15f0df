# cython: language_level=3
"""Object code to an address: a loader of the relocatable ELF files that LLVM writes for x86-64.

A kernel is a few sections that refer to each other and, as good as always, to nothing else. LLVM's own linker would do, but importing it takes
60 ms and 55 MB of a process whose kernels are all in the cache. What this loader does not know, other formats, processors and symbols, is left
to that.

Hand-written, as memory is made executable by system calls. Source: System V ABI, AMD64 supplement, 4.4 (relocations).
"""
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, strlen

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t size, int protection, int flags, int file, int64_t offset)
    int mprotect(void* address, size_t size, int protection)
    int munmap(void* address, size_t size)
    int PROT_READ, PROT_WRITE, PROT_EXEC, MAP_PRIVATE, MAP_ANON
    void* MAP_FAILED

cdef struct FileHeader:
    uint8_t[16] ident
    uint16_t type, machine
    uint32_t version
    uint64_t entry, programs, sections
    uint32_t flags
    uint16_t header_size, program_size, program_count, section_size, section_count, names

cdef struct Section:
    uint32_t name, type
    uint64_t flags, address, offset, size
    uint32_t link, info
    uint64_t alignment, entry_size

cdef struct Symbol:
    uint32_t name
    uint8_t info, other
    uint16_t section
    uint64_t value, size

cdef struct Relocation:
    uint64_t offset
    uint32_t type, symbol
    int64_t addend

cdef enum:
    RELOCATABLE = 1
    X86_64 = 62
    PROGRAM_BITS = 1    # types of sections
    SYMBOLS = 2
    ADDENDS = 4
    NO_BITS = 8
    UNWINDING = 0x70000001
    WRITTEN = 1         # flags of sections
    IN_MEMORY = 2
    EXECUTABLE = 4
    PER_THREAD = 0x400
    MOST_SECTIONS = 64
    PAGE = 4096
    LINE = 64
    STUB = 16           # bytes; jmp *slot(%rip), which takes 6
    STUBS = PAGE // STUB
    APART = 19 * LINE   # kernels that all began with a page would share its sets of the instruction cache: each begins so much later

cdef enum:  # types of relocations: both write S + A - P, 4 bytes, of symbol S, addend A and place P
    PC32 = 2
    PLT32 = 4

cdef struct Image:
    const char* file
    uint64_t size
    const Section* sections
    int count
    const Symbol* symbols
    uint64_t symbol_count
    const char* names       # of the symbols
    uint64_t names_size
    char* base
    uint64_t bytes          # of memory
    uint64_t[MOST_SECTIONS] places  # of the sections that are in memory, from the base


def load(bytes code not None, str name not None):
    """The address of the function ``name`` of an object file, ready to be called as long as the process lives; 0 if this loader can't."""
    cdef Image image
    cdef bytes wanted = name.encode()
    cdef const char* entry = NULL
    image.file, image.size, image.base = code, len(code), NULL
    if not (_examine(&image) and _place(&image)):
        return 0
    if _relocate(&image) and mprotect(image.base, image.bytes, PROT_READ | PROT_EXEC) == 0:
        entry = _find(&image, wanted)
    if entry == NULL:
        munmap(image.base, image.bytes)
    return <size_t>entry


# -- stubs: addresses that stay while the code behind them changes --------------------------------------------------------

HAS_STUBS = bool(_is_this_processor())
cdef char* _stubs = NULL    # a page of them; in the page behind it the slot of each, an address
cdef int _used = STUBS


def stub(size_t address):
    """The address of code that jumps to ``address``, until :func:`redirect` says where to instead. MemoryError where there is none."""
    global _used
    if _used == STUBS:
        _more_stubs()
    cdef char* place = _stubs + _used * STUB
    _used += 1
    redirect(<size_t>place, address)
    return <size_t>place


def redirect(size_t stub, size_t address):
    """From now on ``stub`` jumps to ``address``: a store of 8 bytes at once, so calls in other threads go to the one or to the other."""
    cdef size_t offset = stub % PAGE
    (<size_t*>(stub - offset + PAGE))[offset // STUB] = address


cdef int _more_stubs() except -1:
    global _stubs, _used
    cdef char* page = <char*>mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
    cdef int32_t i, distance
    if page == <char*>MAP_FAILED:
        raise MemoryError("no memory for the addresses of kernels")
    for i in range(STUBS):
        distance = PAGE + 8 * i - (STUB * i + 6)
        memcpy(page + STUB * i, b"\xff\x25", 2)
        memcpy(page + STUB * i + 2, &distance, 4)
    if mprotect(page, PAGE, PROT_READ | PROT_EXEC) != 0:
        munmap(page, 2 * PAGE)
        raise MemoryError("memory can't be made executable here; RUSHLIGHT_DRAFTS=0 does without addresses that change")
    _stubs, _used = page, 0
    return 0


# -- an object file -------------------------------------------------------------------------------------------------------


cdef bint _examine(Image* image) noexcept nogil:
    """Is this an object file for this processor, with one table of symbols, all of it inside the file?"""
    cdef const FileHeader* header = <const FileHeader*>image.file
    cdef const Section* section
    cdef int i
    if image.size < sizeof(FileHeader) or memcmp(image.file, b"\x7fELF\x02\x01\x01", 7) != 0 or not _is_this_processor():
        return False
    if header.type != RELOCATABLE or header.machine != X86_64 or header.section_size != sizeof(Section) or header.section_count > MOST_SECTIONS:
        return False
    if not _is_inside(header.sections, header.section_count * sizeof(Section), image.size):
        return False
    image.sections, image.count, image.symbols = <const Section*>(image.file + header.sections), header.section_count, NULL
    for i in range(image.count):
        section = &image.sections[i]
        if section.type != NO_BITS and not _is_inside(section.offset, section.size, image.size):
            return False
        if section.type == SYMBOLS:
            if image.symbols != NULL or section.link >= <uint32_t>image.count:
                return False
            image.symbols, image.symbol_count = <const Symbol*>(image.file + section.offset), section.size // sizeof(Symbol)
            image.names, image.names_size = image.file + image.sections[section.link].offset, image.sections[section.link].size
            if not _is_inside(image.sections[section.link].offset, image.names_size, image.size):
                return False
    return image.symbols != NULL


cdef inline bint _is_inside(uint64_t offset, uint64_t size, uint64_t whole) noexcept nogil:
    return offset <= whole and size <= whole - offset


cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__ELF__)
    #define rl_is_this_processor() 1
    #else
    #define rl_is_this_processor() 0
    #endif
    """
    bint _is_this_processor "rl_is_this_processor"() noexcept nogil


cdef uint64_t _start = 0  # of the latest image in its page


cdef bint _place(Image* image) noexcept nogil:
    """Lay the sections out one after the other in memory of their own, and copy them there."""
    global _start
    cdef const Section* section
    cdef uint64_t end
    cdef int i
    end = _start = (_start + APART) % PAGE
    for i in range(image.count):
        section, image.places[i] = &image.sections[i], <uint64_t>-1
        if not section.flags & IN_MEMORY or section.size == 0:
            continue
        if section.type not in (PROGRAM_BITS, NO_BITS, UNWINDING) or section.flags & (WRITTEN | PER_THREAD) or section.alignment > PAGE:
            return False
        if section.alignment & (section.alignment - 1) != 0 or section.size > INT32_MAX // MOST_SECTIONS:
            return False
        if section.alignment > 1:
            end = (end + section.alignment - 1) & ~(section.alignment - 1)
        image.places[i] = end
        end += section.size
    image.bytes = (end + PAGE - 1) & ~<uint64_t>(PAGE - 1)
    image.base = <char*>mmap(NULL, image.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
    if image.base == <char*>MAP_FAILED:
        return False
    for i in range(image.count):
        if image.places[i] != <uint64_t>-1 and image.sections[i].type != NO_BITS:
            memcpy(image.base + image.places[i], image.file + image.sections[i].offset, image.sections[i].size)
    return True


cdef bint _relocate(Image* image) noexcept nogil:
    """Write into the sections what refers to places that are known now."""
    cdef const Section* section
    cdef const Relocation* relocations
    cdef uint64_t k
    cdef int i
    for i in range(image.count):
        section = &image.sections[i]
        if section.type != ADDENDS or section.info >= <uint32_t>image.count or image.places[section.info] == <uint64_t>-1:
            continue
        relocations = <const Relocation*>(image.file + section.offset)
        for k in range(section.size // sizeof(Relocation)):
            if not _write(image, section.info, &relocations[k]):
                return False
    return True


cdef bint _write(Image* image, int target, const Relocation* r) noexcept nogil:
    """One of them."""
    cdef char* place = image.base + image.places[target] + r.offset
    cdef const char* symbol = _address(image, r.symbol)
    cdef int64_t distance
    cdef int32_t near
    if symbol == NULL or not _is_inside(r.offset, 4, image.sections[target].size) or (r.type != PC32 and r.type != PLT32):
        return False
    distance = <int64_t>symbol + r.addend - <int64_t>place
    near = <int32_t>distance
    memcpy(place, &near, 4)
    return near == distance


cdef const char* _address(Image* image, uint64_t number) noexcept nogil:
    """Of a symbol that this file defines."""
    cdef const Symbol* symbol = &image.symbols[number]
    if number >= image.symbol_count or symbol.section == 0 or symbol.section >= image.count or image.places[symbol.section] == <uint64_t>-1:
        return NULL
    if symbol.value > image.sections[symbol.section].size:
        return NULL
    return image.base + image.places[symbol.section] + symbol.value


cdef const char* _find(Image* image, const char* wanted) noexcept nogil:
    """The address of the function of this name."""
    cdef uint64_t i, name, size = strlen(wanted) + 1
    for i in range(image.symbol_count):
        name = image.symbols[i].name
        if _is_inside(name, size, image.names_size) and memcmp(image.names + name, wanted, size) == 0:
            if _address(image, i) == NULL or not image.sections[image.symbols[i].section].flags & EXECUTABLE:
                return NULL
            return _address(image, i)
    return NULL
