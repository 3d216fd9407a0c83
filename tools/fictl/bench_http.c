/* SPDX-License-Identifier: MIT */
/* fictl bench http: the empty model over HTTP, beside the same over the Unix socket. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/fictl/bench.h"

#define CONNECTIONS 8
#define ANSWER_MAX  4096

static const char body[] = "{\"inputs\":[{\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1]}]}";

struct http_client {
	int fd;
	char answer[ANSWER_MAX];
	size_t len;
};

static int http_connect(uint16_t port, struct http_client *client)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1;

	client->len = 0;
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&to, sizeof(to)))
		return -errno;
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return 0;
}

static int http_send(struct http_client *client)
{
	char request[512];
	int n = snprintf(request, sizeof(request),
			 "POST /v2/models/empty/infer HTTP/1.1\r\nHost: localhost\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			 sizeof(body) - 1, body);

	client->len = 0;
	return send(client->fd, request, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -EPIPE;
}

/* Is a whole answer there? 1 yes, 0 not yet, -errno. */
static int http_complete(const struct http_client *client)
{
	const char *end = memmem(client->answer, client->len, "\r\n\r\n", 4);
	const char *length = end ? strcasestr(client->answer, "\r\nContent-Length:") : NULL;

	if (!end)
		return client->len < ANSWER_MAX - 1 ? 0 : -EMSGSIZE;
	if (strncmp(client->answer, "HTTP/1.1 200", 12) || !length)
		return -EBADMSG;
	return client->len >= (size_t)(end + 4 - client->answer) + strtoul(length + 17, NULL, 10);
}

static int http_receive(struct http_client *client)
{
	ssize_t n = recv(client->fd, client->answer + client->len, ANSWER_MAX - 1 - client->len, 0);

	if (n <= 0)
		return n ? -errno : -ECONNRESET;
	client->len += (size_t)n;
	client->answer[client->len] = 0;
	return http_complete(client);
}

static int http_round(struct http_client *client)
{
	int err = http_send(client);

	while (!err)
		err = http_receive(client);
	return err > 0 ? 0 : err;
}

/* @count requests over @n connections, each with one on its way. Requests per second. */
static int http_rate(uint16_t port, unsigned n, uint64_t count, double *ret_rate)
{
	static struct http_client clients[CONNECTIONS];
	struct pollfd fds[CONNECTIONS];
	uint64_t start = finf_now_ns(), sent = 0, done = 0;
	unsigned open = 0;
	int err = 0;

	for (; open < n && !err; open++) {
		err = http_connect(port, &clients[open]);
		fds[open] = (struct pollfd){.fd = clients[open].fd, .events = POLLIN};
		if (!err)
			err = http_send(&clients[open]);
		sent++;
	}
	while (!err && done < count) {
		if (poll(fds, n, 10000) <= 0)
			err = -ETIMEDOUT;
		for (unsigned i = 0; i < n && !err; i++) {
			int whole = fds[i].revents ? http_receive(&clients[i]) : 0;

			err = whole < 0 ? whole : 0;
			done += whole > 0;
			if (whole > 0 && sent < count) {
				err = http_send(&clients[i]);
				sent++;
			}
		}
	}
	*ret_rate = (double)done * 1e9 / (double)(finf_now_ns() - start);
	for (unsigned i = 0; i < open; i++)
		if (clients[i].fd >= 0)
			close(clients[i].fd);
	return err;
}

static int port_of(struct bench_fid *fid, uint16_t *ret_port)
{
	json_t *status = bench_ask(fid, "{\"command\":\"status\"}");
	const char *http = json_string_value(json_object_get(status, "http"));
	const char *colon = http ? strrchr(http, ':') : NULL;

	if (colon)
		*ret_port = (uint16_t)strtoul(colon + 1, NULL, 10);
	json_decref(status);
	return colon ? 0 : -ENOENT;
}

struct http_samples {
	struct bench_samples http, unix_socket, one, eight;
};

/* Both doors in turn, so that both see the same machine. */
static int sample(struct bench_fid *fid, uint64_t count, struct http_samples *s,
		  struct finf_diag *diag)
{
	struct http_client client = {.fd = -1};
	uint16_t port = 0;
	double rate = 0;
	int err = bench_empty_import(fid, diag);

	if (!err)
		err = port_of(fid, &port);
	if (!err)
		err = http_connect(port, &client);
	for (uint64_t i = 0; !err && i < count + count / 10; i++) {
		uint64_t ns = 0, start = finf_now_ns();

		err = http_round(&client);
		if (!err && i >= count / 10)
			bench_sample(&s->http, (double)(finf_now_ns() - start) / 1e3);
		if (!err)
			err = bench_empty_infer(fid, &ns, diag);
		if (!err && i >= count / 10)
			bench_sample(&s->unix_socket, (double)ns / 1e3);
	}
	for (int i = 0; i < 10 && !err; i++) {
		err = http_rate(port, 1, count, &rate);
		bench_sample(&s->one, rate);
		if (!err)
			err = http_rate(port, CONNECTIONS, count, &rate);
		bench_sample(&s->eight, rate);
	}
	if (client.fd >= 0)
		close(client.fd);
	return err;
}

int bench_http(struct fictl *ctl, int argc, char **argv)
{
	static const char *const options[] = {"--http", "0", NULL};
	static struct http_samples s;
	const char *count_text = NULL;
	const struct option_spec specs[] = {{"--count", false, &count_text}, {0}};
	struct finf_diag diag = {{0}};
	struct bench_report report;
	struct bench_fid fid;
	uint64_t count = 2000;
	int err;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (count_text && !parse_number(ctl, "--count", count_text, 10, BENCH_SAMPLES_MAX, &count))
		return EXIT_USAGE;
	err = bench_fid_start(ctl, "16M", options, &fid);
	if (err != EXIT_DONE)
		return err;
	err = sample(&fid, count, &s, &diag);
	bench_fid_stop(&fid);
	if (err)
		return failed(ctl, err, "bench http: %s", diag.text[0] ? diag.text : strerror(-err));
	bench_begin(&report, ctl->json);
	bench_add(&report, &(struct bench_row){.what = "HTTP round trip of the empty model, p50", .unit = "us",
					       .ours = &s.http, .quantile = 0.5, .theirs = &s.unix_socket,
					       .baseline = "the Unix socket", .goal = 0.25});
	bench_add(&report, &(struct bench_row){.what = "HTTP round trip of the empty model, p99", .unit = "us",
					       .ours = &s.http, .quantile = 0.99, .theirs = &s.unix_socket,
					       .baseline = "the Unix socket", .goal = 0.25});
	bench_add(&report, &(struct bench_row){.what = "HTTP requests per second, 8 connections", .unit = "1/s",
					       .ours = &s.eight, .quantile = 0.5, .theirs = &s.one,
					       .baseline = "1 connection", .goal = 1, .rate = true});
	return bench_end(&report);
}
