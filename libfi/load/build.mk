# libfi/load: sources, the rooms it may use, the libraries it needs.
load_SRCS := load.c loader.c staging.c ring.c stream.c read.c upload.c copy.c
load_DEPS := device base
load_LIBS := -luring -lxxhash
# Its tests also take and give places in a pool.
load_TEST_DEPS := mem
