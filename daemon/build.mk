# fid: its sources and the libraries that only it needs.
fid_SRCS := apps.c catalogue.c commands.c control.c control_apps.c control_look.c control_why.c core.c \
	decisions.c fault.c fast.c http.c ipc.c ipc_client.c ipc_control.c ipc_infer.c kserve.c listen.c \
	log.c loop.c main.c metrics.c models.c observe.c record.c request.c step.c team.c usdt.c
fid_LIBS := -lsystemd -ljansson -linih -lbpf -lmicrohttpd
