/* SPDX-License-Identifier: MIT */
/*
 * A program with libfi.so like any other: caller SOCKET MODEL. For each line
 * "N" of its input it asks fid N times for MODEL and answers "done".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <fusedinf/client.h>

int main(int argc, char **argv)
{
	struct finf_client *client;
	char line[32];

	if (argc != 3 || finf_client_open(argv[1], &client, NULL))
		return 1;
	setlinebuf(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		for (int n = atoi(line); n > 0; n--)
			if (finf_client_infer(client, argv[2], NULL, 0, NULL, 0, NULL, NULL) !=
			    -ENOENT)
				return 2;
		puts("done");
	}
	finf_client_close(client);
	return 0;
}
