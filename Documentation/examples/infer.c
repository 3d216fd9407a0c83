/* SPDX-License-Identifier: MIT */
/*
 * Run a model in this process: no daemon, no GPU needed.
 *
 *   cc infer.c $(pkg-config --cflags --libs fusedinf) -o infer
 *   ./infer resnet18.onnx [input.raw]
 *
 * input.raw holds the float32 elements of the model's first input, row by row;
 * without it the input is a ramp from 0 to 1. Prints place and value of the
 * five largest outputs.
 */
#include <stdio.h>
#include <stdlib.h>

#include <fusedinf/engine.h>

/* Room for a tensor of this port; a dimension that may vary becomes 1. */
static int make_tensor(const struct finf_port *port, struct finf_tensor *ret)
{
	*ret = (struct finf_tensor){.name = port->name, .dtype = port->dtype, .shape = port->shape};
	for (uint32_t d = 0; d < ret->shape.rank; d++)
		if (ret->shape.dim[d] == FINF_DIM_ANY)
			ret->shape.dim[d] = 1;
	if (port->dtype != FINF_F32 || finf_tensor_bytes(ret->dtype, &ret->shape, &ret->bytes))
		return -1;
	ret->data = malloc(ret->bytes ? ret->bytes : 1);
	return ret->data ? 0 : -1;
}

static int fill(struct finf_tensor *input, const char *path)
{
	size_t n = input->bytes / sizeof(float), got = n;
	FILE *file = path ? fopen(path, "rb") : NULL;

	if (file) {
		got = fread(input->data, sizeof(float), n, file);
		fclose(file);
	}
	for (size_t i = 0; !path && i < n; i++)
		((float *)input->data)[i] = (float)i / (float)n;
	return (path && !file) || got != n ? -1 : 0;
}

/* One pass per line: the best of those that come after the one before. */
static void print_top5(const struct finf_tensor *output)
{
	size_t n = output->bytes / sizeof(float), last = n;
	const float *x = output->data;

	for (int k = 0; k < 5; k++) {
		size_t best = n;

		for (size_t i = 0; i < n; i++)
			if ((last == n || x[i] < x[last] || (x[i] == x[last] && i > last)) &&
			    (best == n || x[i] > x[best]))
				best = i;
		if (best == n)
			return;
		printf("%zu %g\n", best, (double)x[best]);
		last = best;
	}
}

int main(int argc, char **argv)
{
	struct finf_engine *engine = NULL;
	struct finf_tensor input = {0}, output = {0}; /* data NULL: the engine allocates */
	struct finf_port in, out;
	uint32_t n_in = 1, n_out = 1; /* room here; then the model's numbers */
	struct finf_diag why = {""};
	int status = EXIT_FAILURE;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: %s MODEL [INPUT]\n", argv[0]);
		return 2;
	}
	if (finf_engine_open(NULL, &engine, &why) ||
	    finf_engine_add(engine, argv[1], "model", &why) ||
	    finf_engine_ports(engine, "model", &in, &n_in, &out, &n_out))
		goto out;
	if (n_in != 1 || make_tensor(&in, &input) || fill(&input, argc > 2 ? argv[2] : NULL)) {
		snprintf(why.text, sizeof(why.text), "this needs one float32 input and its data");
		goto out;
	}
	/* The first run loads the weights; later ones start at once. */
	if (finf_engine_infer(engine, "model", &input, 1, &output, 1, &why))
		goto out;
	if (output.dtype == FINF_F32)
		print_top5(&output);
	status = EXIT_SUCCESS;
out:
	if (status)
		fprintf(stderr, "infer: %s\n", why.text);
	free(output.data);
	free(input.data);
	finf_engine_close(engine);
	return status;
}
