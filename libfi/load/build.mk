# libfi/load: sources, the rooms it may use, the libraries it needs.
load_SRCS := load.c loader.c staging.c ring.c stream.c read.c upload.c copy.c \
	hash.c hash_avx2.c
load_DEPS := device base
load_LIBS := -luring
# Its tests also take and give places in a pool.
load_TEST_DEPS := mem

ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine)),)
CFLAGS_libfi_load_hash_avx2 := -mavx2
endif
