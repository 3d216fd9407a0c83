/* SPDX-License-Identifier: MIT */
/* fictl: models as portable packs, and several of them as one graph. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "import/import.h"
#include "tools/fictl/group.h"

static bool ends_with(const char *text, const char *tail)
{
	size_t a = strlen(text), b = strlen(tail);

	return a > b && !strcmp(text + a - b, tail);
}

bool is_file(const char *text)
{
	if (ends_with(text, ".fim") || ends_with(text, ".onnx"))
		return true;
	return strchr(text, '/') && !finf_target_ok(text, NULL);
}

/* ---- one model as a portable pack ------------------------------------------------ */

int pack_graph_in(const struct finf_graph *graph, char *ret_dir, struct finf_diag *diag)
{
	const char *base = getenv("TMPDIR");
	int dirfd, err;

	snprintf(ret_dir, PATH_MAX, "%s/fictl-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(ret_dir))
		return finf_diag_set(diag, -errno, "%s: %s", ret_dir, strerror(errno));
	dirfd = open(ret_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		err = finf_diag_set(diag, -errno, "%s: %s", ret_dir, strerror(errno));
	} else {
		err = finf_pack_write_portable(dirfd, PACK_FILE, graph, diag);
		close(dirfd);
	}
	if (err)
		rmdir(ret_dir);
	return err;
}

void pack_drop(const char *dir)
{
	char path[PATH_MAX + sizeof(PACK_FILE) + 1];

	snprintf(path, sizeof(path), "%s/" PACK_FILE, dir);
	unlink(path);
	rmdir(dir);
}

int pack_graph(const struct finf_graph *graph, int *ret_fd, struct finf_diag *diag)
{
	char dir[PATH_MAX], path[PATH_MAX + sizeof(PACK_FILE) + 1];
	int fd, err = pack_graph_in(graph, dir, diag);

	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/" PACK_FILE, dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err = finf_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	pack_drop(dir); /* who gets the open file needs the name no more */
	if (!err)
		*ret_fd = fd;
	return err;
}

static int import_onnx(const char *path, int *ret_fd, struct finf_diag *diag)
{
	struct finf_graph *graph;
	int err = finf_import_file(path, &graph, diag);

	if (err)
		return err;
	err = finf_fuse_run(graph, NULL, diag);
	if (!err)
		err = pack_graph(graph, ret_fd, diag);
	finf_graph_free(graph);
	return err;
}

int file_open(const char *path, int *ret_fd, struct finf_diag *diag)
{
	int fd;

	if (!ends_with(path, ".fim"))
		return import_onnx(path, ret_fd, diag);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return finf_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	*ret_fd = fd;
	return 0;
}

static int open_source(struct finf_client *client, const char *source, int *ret_fd,
		       struct finf_diag *diag)
{
	if (is_file(source))
		return file_open(source, ret_fd, diag);
	if (!client)
		return finf_diag_set(diag, -EINVAL, "%s: neither .onnx nor .fim", source);
	return finf_client_export(client, source, ret_fd, diag);
}

int pack_open(struct finf_client *client, const char *source, struct finf_pack **ret_pack,
	      struct finf_diag *diag)
{
	int fd, err = open_source(client, source, &fd, diag);

	if (err)
		return err;
	err = finf_pack_open(fd, source, ret_pack, diag);
	close(fd);
	return err;
}

/* ---- several ------------------------------------------------------------------------ */

/* "MEMBER=SOURCE"; else the model's name without version, or the file's without ending. */
static void name_member(struct member *member, const char *given)
{
	const char *equals = strchr(given, '='), *slash = strchr(given, '/'), *base = given;
	char *end;

	if (equals && (!slash || equals < slash)) {
		snprintf(member->name, sizeof(member->name), "%.*s", (int)(equals - given), given);
		member->source = equals + 1;
		return;
	}
	member->source = given;
	if (is_file(given) && strrchr(given, '/'))
		base = strrchr(given, '/') + 1;
	snprintf(member->name, sizeof(member->name), "%s", base);
	end = strrchr(member->name, is_file(given) ? '.' : ':');
	if (end && end != member->name)
		*end = 0;
}

static int member_open(struct member *member, struct finf_client *client, struct finf_diag *diag)
{
	int err = pack_open(client, member->source, &member->pack, diag);

	if (!err)
		err = finf_pack_verify(member->pack, diag);
	if (!err)
		err = finf_pack_map(member->pack, diag);
	if (!err)
		err = finf_graph_infer(member->pack->graph, diag);
	if (err)
		finf_diag_prefix(diag, "member %s", member->name);
	return err;
}

/* Byte by byte the same file: there is nothing to fuse. */
static int check_distinct(const struct group *group, uint32_t at, struct finf_diag *diag)
{
	const struct member *member = &group->members[at];

	for (uint32_t i = 0; i < at; i++) {
		const struct member *other = &group->members[i];

		if (other->pack->header_hash == member->pack->header_hash)
			return finf_diag_set(
				diag, -EINVAL,
				"a model cannot be fused with itself: %s and %s are the "
				"same",
				other->source, member->source);
		if (!strcmp(other->name, member->name))
			return finf_diag_set(diag, -EEXIST,
					     "%s and %s would both be %s: name one, as in "
					     "other=%s",
					     other->source, member->source, member->name,
					     member->source);
	}
	return 0;
}

/* As a version of a model of fid's the group would hide what it was made of. */
static int check_name(const struct member *member, const char *name, struct finf_diag *diag)
{
	size_t n = strcspn(member->source, ":");

	if (is_file(member->source) || strlen(name) != n || memcmp(name, member->source, n))
		return 0;
	return finf_diag_set(diag, -EEXIST,
			     "a group named %s would take the place of its own member: name it otherwise",
			     name);
}

int group_open(struct group *group, struct finf_client *client, const char *name,
	       const char *const *sources, uint32_t n, const struct finf_merge_opts *opts,
	       struct finf_diag *diag)
{
	struct finf_fuse_member parts[FINF_MEMBERS_MAX];
	int err = 0;

	*group = (struct group){.n = 0};
	for (uint32_t i = 0; i < n; i++) {
		struct member *member = &group->members[i];

		name_member(member, sources[i]);
		group->n++;
		err = member_open(member, client, diag);
		if (!err)
			err = check_name(member, name, diag);
		if (!err)
			err = check_distinct(group, i, diag);
		if (err)
			return err;
		parts[i] = (struct finf_fuse_member){member->name, member->pack->graph};
	}
	return finf_fuse_merge(name, parts, n, opts, &group->graph, &group->report, diag);
}

void group_close(struct group *group)
{
	finf_graph_free(group->graph);
	for (uint32_t i = 0; i < group->n; i++)
		finf_pack_close(group->members[i].pack);
}

int group_alike(const struct group *group, struct finf_batch_report *ret, struct finf_diag *diag)
{
	const struct finf_graph *graph = group->graph;
	struct finf_shape *shapes = calloc(graph->n_inputs + 1, sizeof(*shapes));
	struct finf_graph *bound;
	int err;

	if (!shapes)
		return finf_diag_set(diag, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < graph->n_inputs; i++) {
		shapes[i] = graph->values[graph->inputs[i]].shape;
		for (uint32_t d = 0; d < shapes[i].rank; d++)
			if (shapes[i].dim[d] == FINF_DIM_ANY)
				shapes[i].dim[d] = 1;
	}
	err = finf_graph_bind(graph, shapes, &bound, diag);
	free(shapes);
	if (err)
		return err;
	err = finf_fuse_batch(bound, ret, diag);
	finf_graph_free(bound);
	return err;
}
