/* SPDX-License-Identifier: MIT */
/*
 * graph/program - elementwise operators one behind the other, as a list of steps that
 * a device runs on each element at once: what a FusedElementwise node does.
 * Must not know: how fast any of it could be.
 */
#ifndef FINF_GRAPH_PROGRAM_H
#define FINF_GRAPH_PROGRAM_H

#include "graph/op.h"

#define FINF_PROGRAM_INPUTS  8
#define FINF_PROGRAM_STEPS   32
#define FINF_PROGRAM_NUMBERS 32
#define FINF_STEP_OPERANDS   3

enum finf_step_kind {
#define FINF_STEP(name, n_in, expression) FINF_STEP_##name,
#include "graph/step.def"
#undef FINF_STEP
	FINF_STEPS /* how many there are */
};

/*
 * An operand is an input of the node (0 to 7), what step s made (8 + s), or the number at
 * index ~operand. Steps read earlier steps only; the last one makes the output. Inputs
 * are float32, or bool and then read as 0 and 1; all else is float32.
 */
struct finf_program {
	uint32_t n_steps, n_numbers;
	struct finf_program_step {
		enum finf_step_kind kind;
		int in[FINF_STEP_OPERANDS]; /* 0 where the step has fewer */
	} steps[FINF_PROGRAM_STEPS];
	float numbers[FINF_PROGRAM_NUMBERS];
};

/** finf_step_operands - how many a kind of step has. */
uint32_t finf_step_operands(enum finf_step_kind kind);
/** finf_step_eval - what the step means, in double; round the result to float. */
double finf_step_eval(enum finf_step_kind kind, double x, double y, double z);

/**
 * finf_program_read - the program of a FusedElementwise node, every number in it checked.
 * Return: 0; -EINVAL naming the step, with @ret half written.
 */
int finf_program_read(const struct finf_node *node, struct finf_program *ret,
		      struct finf_diag *diag);
/** finf_program_attrs - the same program as attributes in @arena. 0; -ENOMEM. */
int finf_program_attrs(const struct finf_program *program, struct finf_arena *arena,
		       struct finf_attr **ret_attrs, uint32_t *ret_n);

/** finf_program_number - the operand that is this number; -EOPNOTSUPP: no room. */
int finf_program_number(struct finf_program *program, float number, int *ret_operand);
/** finf_program_takes - is this a node that finf_program_add() takes, dtypes and all? */
bool finf_program_takes(const struct finf_graph *graph, const struct finf_node *node);
/**
 * finf_program_add - the steps of an elementwise node, with its folded activation.
 * @in  operand of each input of the node; what is left out is not looked at
 * Return: 0; -EOPNOTSUPP when it is not elementwise or there is no room.
 */
int finf_program_add(struct finf_program *program, const struct finf_node *node, const int *in,
		     int *ret_operand);

#endif
