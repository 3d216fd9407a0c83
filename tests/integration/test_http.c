/* SPDX-License-Identifier: MIT */
/*
 * The HTTP door: KServe v2 and /metrics, driven by curl and by raw sockets.
 * Answers equal those through the Unix socket, every mistake has its status,
 * and nobody who misbehaves keeps others from being served.
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fusedinf/client.h>

#include "tests/support/fid.h"
#include "tests/support/support.h"

#define CURL	"/usr/bin/curl"
#define PIXELS	64
#define CLASSES 10
#define WAIT_MS 30000

static struct test_fid fid;
static char base[128];
static struct sockaddr_in door;

/* ---- asking ------------------------------------------------------------------------- */

static void start(const char *name, const char *const *more)
{
	const char *extra[8] = {"--http", "0"};
	json_t *status;
	int n = 2;

	while (more && *more)
		extra[n++] = *more++;
	fid_start(&fid, name, "16M", extra);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL);
	status = json_loads(fictl_ok(&fid, "status", "--json", NULL), 0, NULL);
	snprintf(base, sizeof(base), "http://%s", json_string_value(json_object_get(status, "http")));
	json_decref(status);
	ck_assert_msg(!strncmp(base, "http://127.0.0.1:", 17), "%s", base);
	door = (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((in_port_t)atoi(base + 17)),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

struct reply {
	int status;
	size_t json_bytes; /* SIZE_MAX without the header */
	uint8_t *body;	   /* owned, with a NUL behind */
	size_t bytes;
};

static void reply_free(struct reply *reply)
{
	free(reply->body);
}

static int connect_door(void)
{
	struct timeval limit = {.tv_sec = WAIT_MS / 1000};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&door, sizeof(door)), 0);
	return fd;
}

static void send_bytes(int fd, const void *data, size_t bytes)
{
	ck_assert_int_eq(send(fd, data, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

/* Everything until the other side closes; a NUL behind it. */
static uint8_t *read_to_end(int fd, size_t *ret_bytes)
{
	size_t cap = 1 << 20, len = 0;
	uint8_t *data = malloc(cap);
	ssize_t n;

	while ((n = recv(fd, data + len, cap - 1 - len, 0)) > 0)
		len += (size_t)n;
	ck_assert_msg(n == 0, "the connection was not closed in order");
	data[len] = 0;
	*ret_bytes = len;
	close(fd);
	return data;
}

static void read_reply(int fd, struct reply *ret)
{
	static const char key[] = "Inference-Header-Content-Length: ";
	size_t bytes;
	uint8_t *all = read_to_end(fd, &bytes);
	char *body = strstr((char *)all, "\r\n\r\n"), *header;

	ck_assert_msg(body && !strncmp((char *)all, "HTTP/1.1 ", 9), "no answer: %s", all);
	body += 4;
	header = strstr((char *)all, key);
	ret->status = atoi((char *)all + 9);
	ret->json_bytes = header && header < body ? strtoull(header + sizeof(key) - 1, NULL, 10)
						  : SIZE_MAX;
	ret->bytes = bytes - (size_t)((uint8_t *)body - all);
	ret->body = malloc(ret->bytes + 1);
	memcpy(ret->body, body, ret->bytes + 1);
	free(all);
}

/* @headers that say how long the body is stand for themselves. */
static void ask(struct reply *ret, const char *method, const char *path, const char *headers,
		const void *body, size_t bytes)
{
	char head[1024];
	bool own = !strncmp(headers, "Content-Length", 14) || !strncmp(headers, "Transfer", 8);
	int fd = connect_door(), len;
	char length[64];

	snprintf(length, sizeof(length), "Content-Length: %zu\r\n", bytes);
	len = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s\r\n",
		       method, path, own ? "" : length, headers);
	send_bytes(fd, head, (size_t)len);
	if (bytes)
		send_bytes(fd, body, bytes);
	read_reply(fd, ret);
}

/* Status and a word of the error. */
static void refused(int status, const char *needle, const char *method, const char *path,
		    const char *headers, const char *body)
{
	struct reply reply;
	json_t *doc;

	ask(&reply, method, path, headers, body, strlen(body));
	ck_assert_msg(reply.status == status, "%s %s %s: %d, not %d: %s", method, path, body,
		      reply.status, status, reply.body);
	doc = json_loads((char *)reply.body, 0, NULL);
	ck_assert_msg(doc && json_string_value(json_object_get(doc, "error")), "%s", reply.body);
	ck_assert_msg(strstr(json_string_value(json_object_get(doc, "error")), needle) != NULL,
		      "%s does not say %s", reply.body, needle);
	json_decref(doc);
	reply_free(&reply);
}

/* ---- inference ---------------------------------------------------------------------------- */

static void images(float *to, int batch)
{
	test_fill_f32(to, (size_t)batch * PIXELS, 5);
}

static void model_through_socket(const char *model, const float *image, int batch, float *scores)
{
	struct finf_tensor in = {.dtype = FINF_F32, .shape = {4, {batch, 1, 8, 8}},
				 .data = (void *)(uintptr_t)image,
				 .bytes = (size_t)batch * PIXELS * sizeof(float)};
	struct finf_tensor out = {.data = scores, .bytes = (size_t)batch * CLASSES * sizeof(float)};
	struct finf_client *client;
	struct finf_diag diag = {{0}};

	ck_assert_msg(!finf_client_open(fid.socket, &client, &diag), "%s", diag.text);
	ck_assert_msg(!finf_client_infer(client, model, &in, 1, &out, 1, NULL, &diag), "%s",
		      diag.text);
	finf_client_close(client);
}

static void through_socket(const float *image, int batch, float *scores)
{
	model_through_socket("digits", image, batch, scores);
}

static char *json_body(const float *image, int batch, bool nested)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fprintf(out, "{\"id\":\"q\",\"inputs\":[{\"name\":\"image\",\"datatype\":\"FP32\","
		     "\"shape\":[%d,1,8,8],\"data\":[", batch);
	for (int i = 0; i < batch * PIXELS; i++) {
		fputs(i ? "," : "", out);
		if (nested && i % 8 == 0)
			fputs(i % 64 ? "[" : "[[[", out);
		fprintf(out, "%.9g", (double)image[i]);
		if (nested && i % 8 == 7)
			fputs(i % 64 == 63 ? "]]]" : "]", out);
	}
	fputs("]}]}", out);
	fclose(out);
	return text;
}

/* A busy model would earn other forms of its weights, whose last bits differ. */
static const char *const one_form[] = {"--fast-forms", "off", NULL};

/* Who is silent is gone soon. */
static const char *const quick[] = {"--http-timeout", "1", NULL};

static void check_json_answer(const struct reply *reply, const float *scores, int batch)
{
	json_t *doc, *output, *data;

	ck_assert_msg(reply->status == 200, "%d: %s", reply->status, reply->body);
	doc = json_loads((char *)reply->body, 0, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(doc, "id")), "q");
	ck_assert_str_eq(json_string_value(json_object_get(doc, "model_version")), "1");
	output = json_array_get(json_object_get(doc, "outputs"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(output, "datatype")), "FP32");
	data = json_object_get(output, "data");
	ck_assert_uint_eq(json_array_size(data), (size_t)batch * CLASSES);
	for (int i = 0; i < batch * CLASSES; i++) /* nine digits bring back every float */
		ck_assert((float)json_number_value(json_array_get(data, (size_t)i)) == scores[i]);
	json_decref(doc);
}

START_TEST(json_answers_equal_the_socket)
{
	static const char *const paths[] = {"/v2/models/digits/infer",
					    "/v2/models/digits/versions/1/infer"};
	float image[3 * PIXELS], scores[3 * CLASSES];
	struct reply reply;

	start("json", NULL);
	images(image, 3);
	for (int batch = 1; batch <= 3; batch += 2)
		for (int nested = 0; nested < 2; nested++) {
			char *body = json_body(image, batch, nested);

			through_socket(image, batch, scores);
			ask(&reply, "POST", paths[nested], "", body, strlen(body));
			check_json_answer(&reply, scores, batch);
			reply_free(&reply);
			free(body);
		}
	fid_stop(&fid);
}
END_TEST

static size_t binary_body(uint8_t *to, const float *image, int batch, char *ret_header, size_t len)
{
	int json = sprintf((char *)to,
			   "{\"inputs\":[{\"name\":\"image\",\"datatype\":\"FP32\",\"shape\":[%d,1,8,8],"
			   "\"parameters\":{\"binary_data_size\":%zu}}],\"outputs\":[{\"name\":\"scores\","
			   "\"parameters\":{\"binary_data\":true}}]}",
			   batch, (size_t)batch * PIXELS * sizeof(float));

	memcpy(to + json, image, (size_t)batch * PIXELS * sizeof(float));
	snprintf(ret_header, len, "Inference-Header-Content-Length: %d\r\n", json);
	return (size_t)json + (size_t)batch * PIXELS * sizeof(float);
}

START_TEST(binary_answers_equal_the_socket)
{
	float image[2 * PIXELS], scores[2 * CLASSES];
	uint8_t body[2048];
	char header[80];
	struct reply reply;
	size_t bytes;

	start("binary", NULL);
	images(image, 2);
	through_socket(image, 2, scores);
	bytes = binary_body(body, image, 2, header, sizeof(header));
	ask(&reply, "POST", "/v2/models/digits/infer", header, body, bytes);
	ck_assert_msg(reply.status == 200, "%s", reply.body);
	ck_assert_uint_eq(reply.bytes, reply.json_bytes + sizeof(scores));
	ck_assert_mem_eq(reply.body + reply.json_bytes, scores, sizeof(scores));
	reply_free(&reply);
	/* Announced wrongly: one byte short, far too long, and no number. */
	body[bytes] = 0;
	ask(&reply, "POST", "/v2/models/digits/infer", header, body, bytes - 1);
	ck_assert_int_eq(reply.status, 400);
	reply_free(&reply);
	refused(400, "the body has", "POST", "/v2/models/digits/infer",
		"Inference-Header-Content-Length: 99999\r\n", "{}");
	refused(400, "no number", "POST", "/v2/models/digits/infer",
		"Inference-Header-Content-Length: -1\r\n", "{}");
	fid_stop(&fid);
}
END_TEST

/* ---- groups ---------------------------------------------------------------------------- */

/* Group g of digits and of a network that takes 1x3x32x32. */
static void start_group(const char *name)
{
	char other[1200];

	start(name, NULL);
	snprintf(other, sizeof(other), "r=%s", golden_path("cases/net_residual_bn_13/model.onnx"));
	fictl_ok(&fid, "fuse", "digits", other, "--name", "g", "--no-verdict", NULL);
}

static void curl(struct test_output *output, const char *path, const char *data)
{
	char url[300];
	const char *argv[] = {CURL, "-sS", "--max-time", "60", url, data ? "--data-binary" : NULL,
			      data, NULL};

	snprintf(url, sizeof(url), "%s%s", base, path);
	run_program(output, argv);
	ck_assert_msg(output->status == 0, "curl %s: %s", url, output->err);
}

static json_t *get_json(const char *path)
{
	struct reply reply;
	json_t *doc;

	ask(&reply, "GET", path, "", "", 0);
	ck_assert_msg(reply.status == 200, "%s: %d: %s", path, reply.status, reply.body);
	doc = json_loads((char *)reply.body, 0, NULL);
	ck_assert_ptr_nonnull(doc);
	reply_free(&reply);
	return doc;
}

static const char *port_name(const json_t *doc, const char *which, size_t i)
{
	const json_t *port = json_array_get(json_object_get(doc, which), i);

	return json_string_value(json_object_get(port, "name"));
}

START_TEST(groups_and_members_tell_what_they_take)
{
	json_t *doc, *members;

	start_group("describe");
	doc = get_json("/v2/models/g");
	ck_assert_str_eq(json_string_value(json_object_get(doc, "name")), "g");
	ck_assert_str_eq(port_name(doc, "inputs", 0), "digits/image");
	ck_assert_str_eq(port_name(doc, "inputs", 1), "r/input");
	ck_assert_str_eq(port_name(doc, "outputs", 0), "digits/scores");
	ck_assert_str_eq(port_name(doc, "outputs", 1), "r/output");
	members = json_object_get(json_object_get(doc, "parameters"), "members");
	ck_assert_uint_eq(json_array_size(members), 2);
	ck_assert_str_eq(json_string_value(json_array_get(members, 1)), "r");
	json_decref(doc);
	doc = get_json("/v2/models/g/digits/versions/1");
	ck_assert_str_eq(json_string_value(json_object_get(doc, "name")), "g/digits");
	ck_assert_uint_eq(json_array_size(json_object_get(doc, "inputs")), 1);
	ck_assert_str_eq(port_name(doc, "inputs", 0), "image");
	ck_assert_str_eq(port_name(doc, "outputs", 0), "scores");
	ck_assert_ptr_null(json_object_get(doc, "parameters"));
	json_decref(doc);
	doc = get_json("/v2/models/g/r/ready");
	ck_assert_str_eq(json_string_value(json_object_get(doc, "name")), "g/r");
	ck_assert(json_is_true(json_object_get(doc, "ready")));
	json_decref(doc);
	fid_stop(&fid);
}
END_TEST

START_TEST(one_member_over_http)
{
	static const char *const paths[] = {"/v2/models/g/digits/infer",
					    "/v2/models/g/digits/versions/1/infer",
					    "/v2/models/g%2Fdigits/infer"};
	float image[2 * PIXELS], scores[2 * CLASSES];
	struct reply reply;

	start_group("member");
	images(image, 2);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int batch = i ? 2 : 1;
		char *body = json_body(image, batch, false);

		ask(&reply, "POST", paths[i], "", body, strlen(body));
		model_through_socket("g/digits", image, batch, scores);
		check_json_answer(&reply, scores, batch);
		ck_assert_ptr_nonnull(strstr((char *)reply.body, "\"model_name\":\"g/digits\""));
		reply_free(&reply);
		free(body);
	}
	fid_stop(&fid);
}
END_TEST

/* An image of zeros for each member; @outputs is more of the document, or "". */
static char *whole_body(bool both, const char *outputs)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fprintf(out, "{\"inputs\":[{\"name\":\"digits/image\",\"datatype\":\"FP32\","
		     "\"shape\":[1,1,8,8],\"data\":[0");
	for (int i = 1; i < PIXELS; i++)
		fputs(",0", out);
	fputs("]}", out);
	if (both) {
		fputs(",{\"name\":\"r/input\",\"datatype\":\"FP32\",\"shape\":[1,3,32,32],\"data\":[0",
		      out);
		for (int i = 1; i < 3 * 32 * 32; i++)
			fputs(",0", out);
		fputs("]}", out);
	}
	fprintf(out, "]%s}", outputs);
	fclose(out);
	return text;
}

START_TEST(a_group_over_http)
{
	char *both = whole_body(true, ""), *half = whole_body(false, "");
	char *some = whole_body(true, ",\"outputs\":[{\"name\":\"r/output\"}]");
	struct test_output output;

	start_group("whole");
	curl(&output, "/v2/models/g/infer", both);
	ck_assert_ptr_nonnull(strstr(output.out, "\"digits/scores\""));
	ck_assert_ptr_nonnull(strstr(output.out, "\"r/output\""));
	test_output_free(&output);
	curl(&output, "/v2/models/g/infer", some);
	ck_assert_ptr_null(strstr(output.out, "digits/scores"));
	ck_assert_ptr_nonnull(strstr(output.out, "\"r/output\""));
	test_output_free(&output);
	/* One extent served all of this. */
	ck_assert_int_eq(json_at(fictl_ok(&fid, "inspect", "g", "--json", NULL), "loads"), 1);
	refused(400, "input 'r/input' is missing", "POST", "/v2/models/g/infer", "", half);
	refused(400, "no input 'digits/image'", "POST", "/v2/models/g/digits/infer", "", half);
	refused(404, "g has no member q", "POST", "/v2/models/g/q/infer", "", half);
	refused(404, "g has no member q", "GET", "/v2/models/g/q", "", "");
	refused(404, "g:1 has no member q", "GET", "/v2/models/g/q/versions/1/ready", "", "");
	refused(404, "digits has no member q", "GET", "/v2/models/digits/q", "", "");
	refused(404, "digits is no group", "POST", "/v2/models/digits/q/infer", "", half);
	refused(404, "no model named", "GET", "/v2/models/g/digits/versions/2", "", "");
	refused(404, "no such path", "GET", "/v2/models/g/digits/image/x", "", "");
	free(both);
	free(half);
	free(some);
	fid_stop(&fid);
}
END_TEST

/*
 * A model in 16 bits, asked in JSON for JSON and in bytes for bytes. Its output
 * x is its input, so what was sent has to come back: exactly, for these numbers.
 */
static const struct {
	const char *model, *datatype;
	uint16_t bits[8];
} halves[] = {
	{"half_layers_13", "FP16", {0x3c00, 0xc000, 0x0001, 0x83ff, 0x0400, 0x7bff, 0, 0x3555}},
	{"half_brain_13", "BF16", {0x3f80, 0xc000, 0x0080, 0xbf7f, 0x4049, 0x4000, 0, 0x3eab}},
};

#define HALVES 24 /* an input of 3 x 8 */

static size_t half_body(char *to, const char *datatype, const char *data)
{
	return (size_t)sprintf(to, "{\"id\":\"q\",\"inputs\":[{\"name\":\"x\",\"datatype\":\"%s\","
				   "\"shape\":[3,8],%s}],\"outputs\":[{\"name\":\"x\"}]%s}",
			       datatype, data,
			       *data == '"' && data[1] == 'p'
				       ? ",\"parameters\":{\"binary_data_output\":true}"
				       : "");
}

START_TEST(halves_come_back)
{
	char path[1200], infer[128], body[4096], header[80];
	uint16_t bits[HALVES];
	struct reply reply;
	json_t *doc, *list;
	size_t at;

	start("halves", NULL);
	snprintf(path, sizeof(path), "cases/%s/model.onnx", halves[_i].model);
	fictl_ok(&fid, "import", golden_path(path), "--name", "half", NULL);
	snprintf(infer, sizeof(infer), "/v2/models/half/infer");
	for (int i = 0; i < HALVES; i++)
		bits[i] = halves[_i].bits[i % 8];
	at = half_body(body, halves[_i].datatype, "\"parameters\":{\"binary_data_size\":48}");
	snprintf(header, sizeof(header), "Inference-Header-Content-Length: %zu\r\n", at);
	memcpy(body + at, bits, sizeof(bits));
	ask(&reply, "POST", infer, header, body, at + sizeof(bits));
	ck_assert_msg(reply.status == 200, "%s", reply.body);
	ck_assert_uint_eq(reply.bytes, reply.json_bytes + sizeof(bits));
	ck_assert_mem_eq(reply.body + reply.json_bytes, bits, sizeof(bits));
	reply_free(&reply);

	at = half_body(body, halves[_i].datatype,
		       "\"data\":[1,-2,0.5,2.25,0,3,8,-1,1,-2,0.5,2.25,0,3,8,-1,"
		       "1,-2,0.5,2.25,0,3,8,-1]");
	ask(&reply, "POST", infer, "", body, at);
	ck_assert_msg(reply.status == 200, "%s", reply.body);
	doc = json_loads((char *)reply.body, 0, NULL);
	list = json_object_get(json_array_get(json_object_get(doc, "outputs"), 0), "data");
	ck_assert_uint_eq(json_array_size(list), HALVES);
	ck_assert_double_eq(json_number_value(json_array_get(list, 3)), 2.25);
	ck_assert_double_eq(json_number_value(json_array_get(list, 9)), -2);
	json_decref(doc);
	reply_free(&reply);
	fid_stop(&fid);
}
END_TEST

/* ---- mistakes -------------------------------------------------------------------------------- */

#define INFER "/v2/models/digits/infer"
#define INPUT(name, type, shape, rest) \
	"{\"inputs\":[{\"name\":\"" name "\",\"datatype\":\"" type "\",\"shape\":" shape rest "}]}"

static const struct {
	int status;
	const char *needle, *method, *path, *body;
} mistakes[] = {
	{404, "no such path", "GET", "/", ""},
	{404, "no such path", "GET", "/v2/models/", ""},
	{404, "no such path", "GET", "/v2/models/a/b/c", ""},
	{404, "no such path", "GET", "/%ff%fe", ""},
	{404, "no model named", "GET", "/v2/models/other", ""},
	{404, "no model named", "POST", "/v2/models/other/infer", INPUT("x", "FP32", "[0]", ",\"data\":[]")},
	{404, "no model named", "GET", "/v2/models/digits/versions/9/ready", ""},
	{400, "not a model name", "GET", "/v2/models/%20/ready", ""},
	{405, "takes POST", "GET", INFER, ""},
	{405, "takes GET", "PUT", "/metrics", "x"},
	{405, "takes GET", "DELETE", "/v2/models/digits", ""},
	{403, "Unix socket", "POST", "/v2/repository/models/digits/unload", "{}"},
	{400, "not JSON", "POST", INFER, ""},
	{400, "not JSON", "POST", INFER, "{\"inputs\":"},
	{400, "JSON object", "POST", INFER, "[]"},
	{400, "\"inputs\"", "POST", INFER, "{}"},
	{400, "no \"name\"", "POST", INFER, "{\"inputs\":[1]}"},
	{400, "datatype", "POST", INFER, INPUT("image", "UINT16", "[1,1,8,8]", "")},
	{400, "expected float32", "POST", INFER, INPUT("image", "FP16", "[1]", ",\"data\":[1]")},
	{400, "is no FP16", "POST", INFER, INPUT("image", "FP16", "[1]", ",\"data\":[65520]")},
	{400, "is no BF16", "POST", INFER, INPUT("image", "BF16", "[1]", ",\"data\":[1e39]")},
	{400, "expected float32", "POST", INFER, INPUT("image", "INT64", "[1]", ",\"data\":[1]")},
	{400, "no input 'picture'", "POST", INFER, INPUT("picture", "FP32", "[1]", ",\"data\":[1]")},
	{400, "expected float32", "POST", INFER, INPUT("image", "FP32", "[2]", ",\"data\":[1,2]")},
	{400, "is missing", "POST", INFER, "{\"inputs\":[]}"},
	{400, "\"shape\"", "POST", INFER, INPUT("image", "FP32", "7", "")},
	{400, "whole number", "POST", INFER, INPUT("image", "FP32", "[-1]", "")},
	{400, "too large", "POST", INFER, INPUT("image", "FP32", "[4611686018427387904,4]", "")},
	{400, "less data", "POST", INFER, INPUT("image", "FP32", "[1000000000]", ",\"data\":[1]")},
	{400, "more data", "POST", INFER, INPUT("image", "FP32", "[1]", ",\"data\":[1,2]")},
	{400, "is no FP32", "POST", INFER, INPUT("image", "FP32", "[1]", ",\"data\":[\"a\"]")},
	{400, "is no FP32", "POST", INFER, INPUT("image", "FP32", "[1]", ",\"data\":[1e300]")},
	{400, "is no INT8", "POST", INFER, INPUT("image", "INT8", "[1]", ",\"data\":[128]")},
	{400, "does not have its shape", "POST", INFER, INPUT("image", "FP32", "[2]", ",\"data\":[[1],[2]]")},
	{400, "binary_data_size", "POST", INFER,
	 INPUT("image", "FP32", "[1]", ",\"parameters\":{\"binary_data_size\":4}")},
	{400, "\"id\"", "POST", INFER, "{\"id\":7}"},
	{400, "no \"name\"", "POST", INFER, "{\"outputs\":[{}]}"},
};

START_TEST(every_mistake_has_its_status)
{
	struct reply reply;
	int descriptors;
	char *deep;

	start("mistakes", NULL);
	descriptors = settled_descriptors(fid.pid);
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		refused(mistakes[i].status, mistakes[i].needle, mistakes[i].method, mistakes[i].path, "",
			mistakes[i].body);
	refused(413, "at most", "POST", INFER, "Content-Length: 99999999999\r\n", "");
	refused(411, "Content-Length", "POST", INFER, "Transfer-Encoding: chunked\r\n", "");
	refused(415, "gzip", "POST", INFER, "Content-Encoding: gzip\r\n", "");
	deep = malloc(100001);
	memset(deep, '[', 100000);
	deep[100000] = 0;
	refused(400, "not JSON", "POST", INFER, "", deep);
	free(deep);
	ask(&reply, "GET", "/v2/health/live", "", "", 0);
	ck_assert_int_eq(reply.status, 200);
	reply_free(&reply);
	wait_descriptors(fid.pid, descriptors);
	fid_stop(&fid);
}
END_TEST

/* What is no HTTP at all: any end is good, as long as it is one. */
START_TEST(garbage_ends_the_connection)
{
	static const char *const garbage[] = {
		"\r\n\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"POST " INFER " HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
		"POST " INFER " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{",
	};
	struct reply reply;
	int descriptors;

	start("garbage", quick);
	descriptors = settled_descriptors(fid.pid);
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		int fd = connect_door();
		char rest[4096];

		send_bytes(fd, garbage[i], strlen(garbage[i]));
		shutdown(fd, SHUT_WR);
		while (recv(fd, rest, sizeof(rest), 0) > 0)
			;
		close(fd);
	}
	ask(&reply, "GET", "/v2/health/ready", "", "", 0);
	ck_assert_int_eq(reply.status, 200);
	reply_free(&reply);
	wait_descriptors(fid.pid, descriptors);
	fid_stop(&fid);
}
END_TEST

START_TEST(slow_clients_are_dropped_and_hold_nobody_up)
{
	static const char half[] = "POST " INFER " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{";
	float image[PIXELS], scores[CLASSES];
	struct reply reply;
	int slow[32];
	char rest[16], *body;

	start("slow", quick);
	images(image, 1);
	through_socket(image, 1, scores);
	for (int i = 0; i < 32; i++) {
		slow[i] = connect_door();
		send_bytes(slow[i], half, sizeof(half) - 1);
	}
	body = json_body(image, 1, false);
	for (int i = 0; i < 20; i++) {
		ask(&reply, "POST", INFER, "", body, strlen(body));
		check_json_answer(&reply, scores, 1);
		reply_free(&reply);
	}
	through_socket(image, 1, scores);
	for (int i = 0; i < 32; i++) {
		ck_assert_int_le(recv(slow[i], rest, sizeof(rest), 0), 0);
		close(slow[i]);
	}
	free(body);
	fid_stop(&fid);
}
END_TEST

START_TEST(many_at_once)
{
	float image[PIXELS], scores[CLASSES];
	int fds[100], descriptors;
	char head[256], *body;

	start("many", one_form);
	descriptors = settled_descriptors(fid.pid);
	images(image, 1);
	through_socket(image, 1, scores);
	body = json_body(image, 1, true);
	snprintf(head, sizeof(head),
		 "POST " INFER " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
		 strlen(body));
	for (int i = 0; i < 100; i++) {
		fds[i] = connect_door();
		send_bytes(fds[i], head, strlen(head));
		send_bytes(fds[i], body, strlen(body));
	}
	for (int i = 0; i < 100; i++) {
		struct reply reply;

		if (i % 10 == 9) { /* some do not wait for their answer */
			close(fds[i]);
			continue;
		}
		read_reply(fds[i], &reply);
		check_json_answer(&reply, scores, 1);
		reply_free(&reply);
	}
	free(body);
	wait_descriptors(fid.pid, descriptors);
	fid_stop(&fid);
}
END_TEST

/* ---- metrics, curl, and the official client ------------------------------------------------------ */

static long metric(const char *text, const char *series)
{
	const char *at = strstr(text, series);

	ck_assert_msg(at && at[strlen(series)] == ' ', "no %s in %s", series, text);
	return atol(at + strlen(series));
}

static void check_promtool(const char *text)
{
	const char *path = scratch_path("metrics.txt");
	char command[1200];
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};
	struct test_output output;
	FILE *file;

	if (access("/usr/bin/promtool", X_OK)) {
		skip_test("promtool", "promtool is not installed");
		return;
	}
	file = fopen(path, "we");
	fputs(text, file);
	fclose(file);
	snprintf(command, sizeof(command), "/usr/bin/promtool check metrics < %s", path);
	run_program(&output, argv);
	ck_assert_msg(output.status == 0, "%s%s", output.out, output.err);
	test_output_free(&output);
}

START_TEST(metrics_add_up)
{
	float image[PIXELS], scores[CLASSES];
	struct test_output output;
	char *body;

	start("metrics", NULL);
	images(image, 1);
	body = json_body(image, 1, false);
	for (int i = 0; i < 5; i++) {
		curl(&output, INFER, body);
		ck_assert_ptr_nonnull(strstr(output.out, "\"scores\""));
		test_output_free(&output);
	}
	through_socket(image, 1, scores);
	refused(404, "no model", "POST", "/v2/models/other/infer", "", body);
	refused(400, "is missing", "POST", INFER, "", "{\"inputs\":[]}");
	fictl_ok(&fid, "unload", "digits", NULL);
	curl(&output, "/metrics", NULL);
	ck_assert_int_eq(metric(output.out, "requests_total{model=\"digits\",version=\"1\",outcome=\"ok\"}"), 6);
	ck_assert_int_eq(metric(output.out, "requests_total{model=\"digits\",version=\"1\",outcome=\"invalid\"}"), 1);
	ck_assert_int_eq(metric(output.out, "requests_total{model=\"\",version=\"\",outcome=\"not_found\"}"), 1);
	ck_assert_int_eq(metric(output.out, "requests_cold_total{model=\"digits\",version=\"1\"}"), 1);
	ck_assert_int_eq(metric(output.out, "request_run_seconds_count"), 6);
	ck_assert_int_eq(metric(output.out, "request_queue_seconds_count"), 6);
	ck_assert_int_eq(metric(output.out, "request_load_seconds_count"), 1);
	ck_assert_int_eq(metric(output.out, "request_run_seconds_bucket{le=\"+Inf\"}"), 6);
	ck_assert_int_eq(metric(output.out, "swap_loads_total{outcome=\"ok\"}"), 1);
	ck_assert_int_eq(metric(output.out, "evictions_total{reason=\"operator\"}"), 1);
	ck_assert_int_eq(metric(output.out, "pool_bytes{state=\"weights\"}"), 0);
	ck_assert_int_eq(metric(output.out, "models{residency=\"cold\"}"), 1);
	check_promtool(output.out);
	test_output_free(&output);
	fictl_ok(&fid, "remove", "digits", NULL);
	curl(&output, "/metrics", NULL);
	ck_assert_ptr_null(strstr(output.out, "digits"));
	test_output_free(&output);
	free(body);
	fid_stop(&fid);
}
END_TEST

START_TEST(the_official_client)
{
	static const char program[] =
		"import sys\n"
		"import numpy as np, tritonclient.http as h\n"
		"c = h.InferenceServerClient(sys.argv[1])\n"
		"assert c.is_server_live() and c.is_server_ready() and c.is_model_ready('digits')\n"
		"assert c.get_model_metadata('digits')['inputs'][0]['name'] == 'image'\n"
		"x = np.arange(128, dtype=np.float32).reshape(2, 1, 8, 8) / 128\n"
		"a = []\n"
		"for binary in (True, False):\n"
		"    i = h.InferInput('image', [2, 1, 8, 8], 'FP32')\n"
		"    i.set_data_from_numpy(x, binary_data=binary)\n"
		"    o = h.InferRequestedOutput('scores', binary_data=binary)\n"
		"    r = c.infer('digits', [i], outputs=[o], request_id='9')\n"
		"    assert r.get_response()['id'] == '9'\n"
		"    a.append(r.as_numpy('scores'))\n"
		"assert a[0].shape == (2, 10) and (a[0] == a[1]).all()\n"
		"assert c.is_model_ready('g/digits') and not c.is_model_ready('g/q')\n"
		"assert c.get_model_metadata('g', '1')['parameters']['members'] == ['digits', 'r']\n"
		"m = c.infer('g/digits', [i], model_version='1', outputs=[o])\n"
		"assert abs(m.as_numpy('scores') - a[0]).max() < 1e-5\n"
		"w = h.InferInput('digits/image', [1, 1, 8, 8], 'FP32')\n"
		"w.set_data_from_numpy(x[:1])\n"
		"r = h.InferInput('r/input', [1, 3, 32, 32], 'FP32')\n"
		"r.set_data_from_numpy(np.zeros((1, 3, 32, 32), np.float32))\n"
		"g = c.infer('g', [w, r])\n"
		"assert abs(g.as_numpy('digits/scores') - a[0][:1]).max() < 1e-5\n"
		"assert g.as_numpy('r/output').shape == (1, 10)\n";
	const char *const have[] = {"/usr/bin/python3", "-c", "import numpy, tritonclient.http", NULL};
	const char *const argv[] = {"/usr/bin/python3", "-c", program, base + 7, NULL};
	struct test_output output;
	int status;

	run_program(&output, have);
	status = output.status;
	test_output_free(&output);
	if (status) {
		skip_test("tritonclient", "python3 has no tritonclient[http]");
		return;
	}
	start_group("triton");
	run_program(&output, argv);
	ck_assert_msg(output.status == 0, "%s", output.err);
	test_output_free(&output);
	fid_stop(&fid);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("http");
	TCase *tc = tcase_create("fid");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, json_answers_equal_the_socket);
	tcase_add_test(tc, binary_answers_equal_the_socket);
	tcase_add_test(tc, groups_and_members_tell_what_they_take);
	tcase_add_test(tc, one_member_over_http);
	tcase_add_test(tc, a_group_over_http);
	tcase_add_loop_test(tc, halves_come_back, 0, sizeof(halves) / sizeof(*halves));
	tcase_add_test(tc, every_mistake_has_its_status);
	tcase_add_test(tc, garbage_ends_the_connection);
	tcase_add_test(tc, slow_clients_are_dropped_and_hold_nobody_up);
	tcase_add_test(tc, many_at_once);
	tcase_add_test(tc, metrics_add_up);
	tcase_add_test(tc, the_official_client);
	suite_add_tcase(suite, tc);
	return suite;
}
