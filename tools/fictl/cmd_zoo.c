/* SPDX-License-Identifier: MIT */
/* fictl zoo: real architectures with seeded weights, written as ONNX. */
#include <string.h>

#include "tools/fictl/fictl.h"
#include "tools/fictl/zoo/zoo.h"

static int list_zoo(struct fictl *ctl)
{
	json_t *names = json_array();

	for (unsigned i = 0; zoo_name(i); i++) {
		if (!ctl->json)
			puts(zoo_name(i));
		json_array_append_new(names, json_string(zoo_name(i)));
	}
	if (ctl->json)
		return print_json(json_pack("{s:o}", "networks", names));
	json_decref(names);
	return EXIT_DONE;
}

static int cmd_zoo(struct fictl *ctl, int argc, char **argv)
{
	const char *name, *output = NULL, *seed_text = NULL, *head_text = NULL;
	const struct option_spec specs[] = {
		{"-o", false, &output}, {"--output", false, &output}, {"--seed", false, &seed_text},
		{"--head", false, &head_text}, {0}};
	uint64_t seed = 0, head = 0;
	struct finf_diag diag = {{0}};
	int n = parse(ctl, argc, argv, specs, &name, 1), err;

	if (n < 0)
		return EXIT_USAGE;
	if (!n)
		return list_zoo(ctl);
	if (seed_text && !parse_number(ctl, "--seed", seed_text, 0, UINT64_MAX, &seed))
		return EXIT_USAGE;
	if (head_text && !parse_number(ctl, "--head", head_text, 0, UINT64_MAX, &head))
		return EXIT_USAGE;
	if (!output)
		return usage(ctl, "where to? -o FILE.onnx");
	err = zoo_write_variant(name, seed, head, output, &diag);
	if (err)
		return failed(ctl, err, "zoo %s: %s", name, diag.text[0] ? diag.text : strerror(-err));
	if (ctl->json)
		return print_json(json_pack("{s:s, s:s}", "network", name, "file", output));
	printf("%s written to %s\n", name, output);
	return EXIT_DONE;
}

const struct command commands_zoo[] = {
	{"zoo", "[NAME -o FILE.onnx [--seed N] [--head N]]", "write a well-known network with seeded weights",
	 "Without NAME: the list. The weights are random but well scaled; the same seed gives the\n"
	 "same file everywhere. --head makes a variant: other weights in the last layer only.\n", cmd_zoo},
	{0},
};
