# libfi/engine: sources, the rooms it may use, the libraries it needs.
engine_SRCS := plan.c measure.c fat.c grow.c side.c watch.c weights.c tune.c model.c bind.c match.c mend.c engine.c place.c infer.c
engine_DEPS := import fuse plan pack load mem exec device graph base
engine_LIBS := 
