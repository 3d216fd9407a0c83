/* SPDX-License-Identifier: MIT */
/*
 * import: the bounded wire-level scan, and protobuf-c behind it.
 *
 * protobuf-c recurses without a limit and allocates for each field it meets.
 * The scan walks the same bytes along the same descriptors first, without
 * allocating, and refuses what is malformed, nested too deeply, or would take
 * far more memory unpacked than in the file.
 * Source: Protocol Buffers documentation, "Encoding".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "import/internal.h"

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* What protobuf-c may allocate: per field its notes, per element its widest
 * form. Files of many small fields grow most; the constant lets those pass. */
#define COST_FIELD    32
#define COST_PER_BYTE 10
#define COST_BASE     ((uint64_t)512 << 20)
#define FIELD_ID_MAX  ((1u << 29) - 1)

struct scan {
	const uint8_t *data;
	size_t at;
	uint64_t cost, cost_max;
	struct finf_diag *diag;
};

static int varint(struct scan *s, size_t end, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte;

		if (s->at >= end)
			return finf_diag_set(s->diag, -EBADMSG, "offset %zu: ends inside a number",
					     s->at);
		byte = s->data[s->at++];
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return 0;
		}
	}
	return finf_diag_set(s->diag, -EBADMSG, "offset %zu: number longer than 64 bits", s->at);
}

static enum wire wire_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_BYTES;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return WIRE_32;
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return WIRE_64;
	default:
		return WIRE_VARINT;
	}
}

/* Scalars of a repeated field back to back in one length-delimited field. */
static int scan_packed(struct scan *s, enum wire element, size_t end)
{
	uint64_t unused;
	int err = 0;

	if (element == WIRE_VARINT) {
		s->cost += (uint64_t)(end - s->at) * sizeof(uint64_t);
		while (!err && s->at < end)
			err = varint(s, end, &unused);
		return err;
	}
	s->cost += end - s->at;
	if ((end - s->at) % (element == WIRE_64 ? 8 : 4))
		return finf_diag_set(s->diag, -EBADMSG, "offset %zu: ends inside a number", end);
	s->at = end;
	return 0;
}

static int scan_message(struct scan *s, const ProtobufCMessageDescriptor *type, size_t end,
			unsigned depth);

/* The payload of a length-delimited field; s->at stands on its first byte. */
static int scan_payload(struct scan *s, const ProtobufCFieldDescriptor *field, size_t end,
			unsigned depth)
{
	if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
		return scan_message(s, field->descriptor, end, depth + 1);
	if (field && wire_of(field->type) != WIRE_BYTES)
		return scan_packed(s, wire_of(field->type), end);
	if (field && field->type == PROTOBUF_C_TYPE_STRING &&
	    memchr(s->data + s->at, 0, end - s->at))
		return finf_diag_set(s->diag, -EBADMSG, "offset %zu: NUL inside '%s'", s->at,
				     field->name);
	s->cost += end - s->at;
	s->at = end;
	return 0;
}

/* Known fields must come in the wire type of their declaration. */
static bool wire_fits(const ProtobufCFieldDescriptor *field, unsigned wire)
{
	return !field || wire == wire_of(field->type) ||
	       (wire == WIRE_BYTES && field->label == PROTOBUF_C_LABEL_REPEATED);
}

static int scan_value(struct scan *s, const ProtobufCMessageDescriptor *type,
		      const ProtobufCFieldDescriptor *field, uint64_t tag, size_t end,
		      unsigned depth)
{
	const char *name = field ? field->name : "unknown field";
	uint64_t len;
	int err;

	if (!wire_fits(field, tag & 7))
		return finf_diag_set(s->diag, -EBADMSG,
				     "offset %zu: %s of %s has wire type %" PRIu64, s->at, name,
				     type->short_name, tag & 7);
	switch (tag & 7) {
	case WIRE_VARINT:
		return varint(s, end, &len);
	case WIRE_64:
		len = 8;
		break;
	case WIRE_32:
		len = 4;
		break;
	case WIRE_BYTES:
		err = varint(s, end, &len);
		if (err)
			return err;
		break;
	default: /* groups were never in ONNX */
		return finf_diag_set(s->diag, -EBADMSG, "offset %zu: wire type %" PRIu64, s->at,
				     tag & 7);
	}
	if (len > end - s->at)
		return finf_diag_set(s->diag, -EBADMSG,
				     "offset %zu: %s of %s says %" PRIu64 " bytes, %zu are left",
				     s->at, name, type->short_name, len, end - s->at);
	if ((tag & 7) == WIRE_BYTES)
		return scan_payload(s, field, s->at + (size_t)len, depth);
	s->at += (size_t)len;
	return 0;
}

/* @seen: bit per declared field, because merging repeats is a trap nobody needs. */
static int scan_field(struct scan *s, const ProtobufCMessageDescriptor *type, size_t end,
		      unsigned depth, uint64_t *seen)
{
	const ProtobufCFieldDescriptor *field;
	size_t start = s->at;
	uint64_t tag, bit;
	int err;

	err = varint(s, end, &tag);
	if (err)
		return err;
	if (!(tag >> 3) || tag >> 3 > FIELD_ID_MAX)
		return finf_diag_set(s->diag, -EBADMSG, "offset %zu: field number %" PRIu64, start,
				     tag >> 3);
	field = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
	if (field && field->label != PROTOBUF_C_LABEL_REPEATED) {
		bit = (uint64_t)1 << ((size_t)(field - type->fields) % 64);
		if (*seen & bit)
			return finf_diag_set(s->diag, -EBADMSG, "offset %zu: second '%s' of %s",
					     start, field->name, type->short_name);
		*seen |= bit;
	}
	s->cost += COST_FIELD;
	return scan_value(s, type, field, tag, end, depth);
}

static int scan_message(struct scan *s, const ProtobufCMessageDescriptor *type, size_t end,
			unsigned depth)
{
	uint64_t seen = 0;
	int err = 0;

	if (depth > FINF_IMPORT_DEPTH_MAX)
		return finf_diag_set(s->diag, -EBADMSG, "offset %zu: nested more than %d levels",
				     s->at, FINF_IMPORT_DEPTH_MAX);
	s->cost += type->sizeof_message;
	while (!err && s->at < end) {
		err = scan_field(s, type, end, depth, &seen);
		if (!err && s->cost > s->cost_max)
			err = finf_diag_set(s->diag, -EBADMSG,
					    "offset %zu: more fields than so few bytes should hold",
					    s->at);
	}
	return err;
}

int import_scan(const ProtobufCMessageDescriptor *type, const void *data, size_t bytes,
		struct finf_diag *diag)
{
	struct scan s = {
		.data = data,
		.cost_max = COST_BASE + COST_PER_BYTE * (uint64_t)bytes,
		.diag = diag,
	};

	if (!bytes)
		return finf_diag_set(diag, -EBADMSG, "empty, not an ONNX %s", type->short_name);
	return scan_message(&s, type, bytes, 1);
}

int finf_import_scan(const void *data, size_t bytes, struct finf_diag *diag)
{
	return import_scan(&onnx__model_proto__descriptor, data, bytes, diag);
}

/* protobuf-c answers NULL for every failure: remember whether it was memory. */
static void *counted_alloc(void *failed, size_t bytes)
{
	void *p = malloc(bytes);

	if (!p)
		*(bool *)failed = true;
	return p;
}

static void counted_free(void *failed, void *p)
{
	(void)failed;
	free(p);
}

int import_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t bytes,
		  ProtobufCMessage **ret, struct finf_diag *diag)
{
	bool failed = false;
	ProtobufCAllocator allocator = {
		.alloc = counted_alloc,
		.free = counted_free,
		.allocator_data = &failed,
	};
	ProtobufCMessage *message;
	int err;

	err = import_scan(type, data, bytes, diag);
	if (err)
		return err;
	message = protobuf_c_message_unpack(type, &allocator, bytes, data);
	if (!message && failed)
		return finf_diag_set(diag, -ENOMEM, "out of memory unpacking %zu bytes", bytes);
	if (!message)
		return finf_diag_set(diag, -EBADMSG, "not an ONNX %s", type->short_name);
	*ret = message;
	return 0;
}
