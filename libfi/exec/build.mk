# libfi/exec: sources, the rooms it may use, the libraries it needs.
exec_SRCS := session.c run.c graph.c
exec_DEPS := load plan mem device graph base
exec_LIBS := 
