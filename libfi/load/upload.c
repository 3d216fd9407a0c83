/* SPDX-License-Identifier: MIT */
/*
 * load: from staging to a pool that only the device can write. Copies are
 * queued and land in order; nobody waits for one unless every slot is taken.
 */
#include <errno.h>
#include <string.h>

#include "load/priv.h"

static int upload_failed(struct load_stream *st, int err)
{
	struct finf_load *load = st->load;

	if (!load->diag.text[0]) /* the first failure is the one to tell */
		finf_diag_set(&load->diag, -EREMOTEIO,
			      "%s: copying to the device, segment %u of %u: %s", load->name,
			      FINF_MIN(st->segment, load->n_segments - 1), load->n_segments,
			      strerror(-err));
	return -EREMOTEIO;
}

/* Without a queue a write does it, which has landed when it returns. */
int finf_upload_send(struct load_stream *st, void *to, const uint8_t *data, uint32_t bytes)
{
	struct finf_loader *loader = st->loader;
	uint32_t slot = (uint32_t)(st->retired % loader->n_window);
	int err;

	loader->window[slot].publishes = 0;
	if (loader->upload)
		err = finf_device_upload_start(loader->dev, loader->upload, slot, to, data, bytes);
	else
		err = finf_device_write(loader->dev, to, data, bytes);
	return err ? upload_failed(st, err) : 0;
}

static int wait_for(const struct load_stream *st, bool block)
{
	struct finf_loader *loader = st->loader;

	if (!loader->upload)
		return 0;
	return finf_device_upload_wait(loader->dev, loader->upload,
				       (uint32_t)(st->landed % loader->n_window), block);
}

int finf_upload_land(struct load_stream *st, bool wait_for_one)
{
	for (bool block = wait_for_one; st->landed < st->retired; block = false) {
		const struct load_block *sent =
			&st->loader->window[st->landed % st->loader->n_window];
		int err = wait_for(st, block);

		if (err == -EAGAIN)
			return 0;
		if (err)
			return upload_failed(st, err);
		st->landed++;
		if (sent->publishes)
			finf_stream_publish(st, sent->publishes);
	}
	return 0;
}

/* The slots are the next load's: nothing may read from them any more, whatever happened. */
int finf_upload_finish(struct load_stream *st)
{
	int err = 0;

	while (!err && st->landed < st->retired)
		err = finf_upload_land(st, true);
	for (; st->landed < st->retired; st->landed++)
		wait_for(st, true);
	return err;
}
