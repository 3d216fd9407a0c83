# fictl: its sources and the libraries that only it needs.
include tools/fictl/zoo/build.mk
fictl_SRCS := main.c daemon.c tensors.c cmd_model.c cmd_look.c cmd_inspect.c cmd_run.c cmd_doctor.c \
	cmd_zoo.c cmd_probe.c cmd_app.c cmd_replay.c cmd_fuse.c group.c verdict.c \
	bench.c bench_fused.c bench_ipc.c bench_http.c bench_preload.c bench_probe.c bench_swap.c bench_swap_rivals.c $(zoo_SRCS:%=zoo/%)
fictl_LIBS := -lzip -ljansson -ldl
